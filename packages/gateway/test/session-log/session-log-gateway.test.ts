import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { createControlClient } from "../../src/control/control-client.ts";
import { launchGateway, testFolder } from "../launch.ts";
import { served } from "../served.ts";

interface Entry {
  readonly who: string;
  readonly what: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

test("a gateway keeps what it did over kill -9, for its owner alone, and shows the end of it", async () => {
  using folder = testFolder();
  const file = join(folder.path, "data/session-log.jsonl");
  const entries = (): readonly Entry[] =>
    readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line): Entry => JSON.parse(line));
  const whats = (): readonly string[] => entries().map(({ what }) => what);
  {
    await using gateway = await launchGateway({ folder });
    const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt")}`;
    const client = await connectAsync(url, { clientId: "phone", reconnectPeriod: 0 });
    await client.subscribeAsync("a/#", { qos: 1 });
    await expect.poll(whats).toContain("subscription.added");
    gateway.signal("SIGKILL");
    await gateway.ended;
    client.end(true);
  }
  await using again = await launchGateway({ folder });
  const { body } = await createControlClient(again.controlSocket).get("/api/v1/log?last=2");
  expect(body).toMatchObject([{ what: "store.recovered" }, { what: "gateway.started" }]);
  again.signal("SIGTERM");
  await again.ended;
  expect(whats()).toEqual([
    "store.recovered",
    "gateway.started",
    "client.connected",
    "subscription.added",
    "store.recovered",
    "gateway.started",
    "gateway.stopped",
  ]);
  expect(entries()[2]?.details).toMatchObject({
    client: "phone",
    address: expect.stringContaining("127.0.0.1"),
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("with data: memory the end of it is to be had all the same", async () => {
  await using it = await served("nomq: { listen: [] }\nmqtt: { listen: ['mqtt://127.0.0.1:0'] }");
  const { body } = await it.client.get("/api/v1/log");
  expect(body).toMatchObject([{ who: "gateway", what: "gateway.started", details: { data: "memory" } }]);
});
