import { expect, test } from "vitest";
import { startBench } from "./bench.ts";

const whats = (recorded: readonly { readonly what: string; readonly details?: object }[]): object[] =>
  recorded
    .filter(({ what }) => what === "client.slowed" || what === "client.recovered")
    .map(({ what, details }) => ({ what, ...details }));

test("a client that acknowledges nothing is named after 10 s, with since when and what waits, until it does", async () => {
  await using bench = await startBench();
  const { clock } = bench.hub;
  const sleepy = await bench.subscriber("#", 1, { clientId: "sleepy", properties: { receiveMaximum: 2 } });
  const quick = await bench.subscriber("#", 0, { clientId: "quick" });
  const qos0 = await bench.subscriber("none", 1, { clientId: "idle" });
  for (let count = 0; count < 5; count += 1) await bench.hub.deliver({ channel: `c${count}`, qos: 1 });
  await sleepy.settled();
  await clock.advance(2_500);
  const since = clock.now();
  await clock.advance(9_000);
  expect(bench.bridge.slowClients()).toEqual([]);
  await clock.advance(1_000);
  const named = {
    client: "sleepy",
    principal: "addr:127.0.0.1",
    address: "127.0.0.1",
    reason: "unacknowledged",
  };
  expect(bench.bridge.slowClients()).toEqual([{ ...named, since, waiting: 5, dropped: 0 }]);
  expect(bench.bridge.counts().slowClients).toBe(1);
  // It moves again, if only a little.
  const first = sleepy.got.find((packet) => packet.cmd === "publish")?.messageId;
  sleepy.send({ cmd: "puback", messageId: first ?? 0 });
  await sleepy.settled();
  await clock.advance(5_000);
  expect(bench.bridge.slowClients()).toEqual([]);
  expect(whats(bench.hub.recorded)).toEqual([
    { what: "client.slowed", client: "sleepy", address: "127.0.0.1", reason: "unacknowledged" },
    { what: "client.recovered", client: "sleepy", address: "127.0.0.1" },
  ]);
  await quick.settled();
  expect(quick.messages()).toHaveLength(5);
  await qos0.end();
});

test("a client whose socket takes nothing is named after 5 s, and no longer once it is cut", async () => {
  await using bench = await startBench();
  const { clock } = bench.hub;
  const frozen = await bench.subscriber("#", 0, { clientId: "frozen" });
  frozen.socket.pause();
  const payload = Buffer.alloc(64 * 1024);
  const dropped = (): number => bench.bridge.counts().messagesDropped["slow-reader"] ?? 0;
  while (dropped() < 10) {
    await bench.hub.deliver({ payload });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await clock.advance(9_000);
  expect(bench.bridge.slowClients()).toMatchObject([
    { client: "frozen", reason: "not-reading", dropped: expect.any(Number), waiting: 0 },
  ]);
  expect(bench.bridge.slowClients()[0]?.dropped).toBeGreaterThanOrEqual(10);
  await clock.advance(1_000);
  frozen.socket.resume();
  await frozen.closed;
  while (bench.bridge.counts().slowClients > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(bench.hub.recorded.find(({ what }) => what === "client.disconnected")?.details).toMatchObject({
    client: "frozen",
    reason: "stalled",
  });
});

test("no more than 100 are named; all are counted", async () => {
  await using bench = await startBench();
  const clients = await Promise.all(
    Array.from({ length: 105 }, (_, at) => bench.subscriber("#", 1, { clientId: `c${at}` })),
  );
  await bench.hub.deliver({ qos: 1 });
  await Promise.all(clients.map((client) => client.settled()));
  await bench.hub.clock.advance(20_000);
  expect(bench.bridge.slowClients()).toHaveLength(100);
  expect(bench.bridge.counts().slowClients).toBe(105);
});
