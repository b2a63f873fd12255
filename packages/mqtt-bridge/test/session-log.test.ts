import type { SessionEntry } from "@nomq/core";
import { expect, test } from "vitest";
import type { Bench } from "./bench.ts";
import { startBench } from "./bench.ts";
import type { RawClient } from "./raw-client.ts";

/** What was recorded under the name, once there are so many; a socket's end takes turns of the loop. */
async function recorded({ hub }: Bench, what: string, count: number): Promise<SessionEntry[]> {
  for (;;) {
    const found = hub.recorded.filter((entry) => entry.what === what);
    if (found.length >= count) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a client that comes and subscribes is recorded, with who, from where and what", async () => {
  await using bench = await startBench();
  const client = await bench.subscriber("a/#", 1, { clientId: "c1" });
  client.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a/#"] });
  await client.take("unsuback");
  const listener = "mqtt://127.0.0.1:0";
  expect(await recorded(bench, "client.connected", 1)).toEqual([
    {
      who: "addr:127.0.0.1",
      what: "client.connected",
      details: { client: "c1", address: "127.0.0.1", listener, version: "5.0", session: "new" },
    },
  ]);
  expect(await recorded(bench, "subscription.added", 1)).toEqual([
    { who: "addr:127.0.0.1", what: "subscription.added", details: { client: "c1", filter: "a/#", qos: 1 } },
  ]);
  expect(await recorded(bench, "subscription.removed", 1)).toMatchObject([{ details: { filter: "a/#" } }]);
});

const ends: readonly (readonly [string, (client: RawClient, bench: Bench) => void | Promise<void>])[] = [
  ["disconnect", (client) => client.send({ cmd: "disconnect" })],
  ["connection-lost", (client) => void client.socket.end()],
  ["protocol-error", (client) => client.send(Buffer.from([0x20, 2, 0, 0]))],
  ["malformed", (client) => client.send(Buffer.from([0x36, 4, 0, 1, 0x61, 0]))],
  ["closed", (_, bench) => bench.bridge.stop()],
  ["closed", async (_, bench) => void (await bench.client({ clientId: "c1" }))],
];

test.each(ends)("its end is recorded once, as %s", async (reason, end) => {
  await using bench = await startBench();
  const client = await bench.client({ clientId: "c1" });
  await end(client, bench);
  expect(await recorded(bench, "client.disconnected", 1)).toEqual([
    {
      who: "addr:127.0.0.1",
      what: "client.disconnected",
      details: { client: "c1", address: "127.0.0.1", reason },
    },
  ]);
  await client.closed;
  expect(bench.hub.recorded.filter(({ what }) => what === "client.disconnected")).toHaveLength(1);
});

test("a client that is turned away is recorded, and was never connected", async () => {
  await using bench = await startBench({ listen: [{ url: "mqtt://127.0.0.1:0", anonymous: "none" }] });
  const client = await bench.client({ bare: true, clientId: "c1" });
  await client.closed;
  const [refused] = await recorded(bench, "client.refused", 1);
  expect(refused?.details).toMatchObject({ reason: "anonymous", address: "127.0.0.1" });
  expect(bench.hub.recorded).toHaveLength(1);
});
