import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { launchGateway, testFolder } from "../launch.ts";
import { events } from "./serving.ts";

test("a real gateway serves HTTP where its ready line says; SIGTERM ends streams and closes the port", async () => {
  using folder = testFolder();
  await using gateway = await launchGateway({ folder });
  const url = gateway.listen["http"]?.[0] ?? "";
  await using stream = await events(`${url}/api/v1/stream`);
  expect(await stream.next()).toMatchObject({ event: "ready" });
  const body = JSON.stringify({ channel: "a", payload: "kept", qos: 1, retain: true });
  expect((await fetch(`${url}/api/v1/publish`, { method: "POST", body })).status).toBe(200);
  expect(await stream.next()).toMatchObject({ event: "message", data: { payload: "kept" } });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('nomq_accepted_total{attachment="mqtt:broker"} 0\n');
  expect(metrics).toContain('nomq_accepted_total{attachment="api:stream"} 1\n');
  gateway.signal("SIGTERM");
  expect(await stream.next()).toBeUndefined();
  expect((await gateway.ended).code).toBe(0);
  const again = connect(gateway.port("http"), "127.0.0.1");
  const [error] = await once(again, "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});

test("the store's ledger and history are there after a restart", async () => {
  using folder = testFolder();
  {
    await using gateway = await launchGateway({ folder });
    const body = JSON.stringify({ channel: "a/b", payload: "kept", qos: 1, retain: true });
    expect(
      (await fetch(`${gateway.listen["http"]?.[0]}/api/v1/publish`, { method: "POST", body })).status,
    ).toBe(200);
    gateway.signal("SIGKILL");
    await gateway.ended;
  }
  await using gateway = await launchGateway({ folder });
  const history = await fetch(`${gateway.listen["http"]?.[0]}/api/v1/history/a/b`);
  expect(await history.json()).toMatchObject([{ channel: "a/b", payload: "kept" }]);
});
