import { connectAsync } from "mqtt";
import { describe, expect, test } from "vitest";
import { numberOf, OPTION, optionOf, uint } from "../../../../test/real/coap-wire.ts";
import { createControlClient } from "../../src/control/control-client.ts";
import { gatewayVersion } from "../../src/version.ts";
import { launchGateway, testFolder } from "../launch.ts";
import { served } from "../served.ts";
import { openCoapClient } from "./client.ts";

const LISTEN = "coap: { listen: ['coap://127.0.0.1:0'] }\n";
const BARE = "nomq: { listen: [] }\nmqtt: { listen: [] }\n";

describe("MQTT and CoAP through a real gateway", () => {
  test("a CoAP PUT is an MQTT message, and an MQTT message is what GET answers and observers are told", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt")}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    await using device = await openCoapClient(gateway.port("coap"));
    const came: string[] = [];
    mqtt.on("message", (topic, payload, { retain, properties }) =>
      came.push(`${topic} ${payload.toString()} ${retain} ${properties?.contentType}`),
    );
    await mqtt.subscribeAsync("house/#", { qos: 1, rap: true });
    const format = [[OPTION.contentFormat, uint(0)]] as const;
    const set = { method: "put", path: "house/temp", payload: Buffer.from("21"), options: format } as const;
    expect((await device.ask(set))?.code).toBe("2.01");
    await expect.poll(() => came).toEqual(["house/temp 21 true text/plain;charset=utf-8"]);

    const told: string[] = [];
    await device.observe({ path: "house/temp", tell: ({ payload }) => void told.push(payload.toString()) });
    const properties = { contentType: "text/plain", messageExpiryInterval: 300 };
    await mqtt.publishAsync("house/temp", "warm", { qos: 1, retain: true, properties });
    await expect.poll(() => told).toEqual(["21", "warm"]);
    const read = await device.ask({ path: "house/temp" });
    expect([read?.code, read?.payload.toString()]).toEqual(["2.05", "warm"]);
    expect(read && numberOf(read, OPTION.contentFormat)).toBe(0);
    expect(read && numberOf(read, OPTION.maxAge)).toBeGreaterThan(200);
    expect(read && optionOf(read, OPTION.etag)).toBeDefined();
    // An event changes nothing that is kept.
    await mqtt.publishAsync("house/temp", "bang", { qos: 1, properties: { contentType: "text/plain" } });
    await expect.poll(() => told).toEqual(["21", "warm", "bang"]);
    expect((await device.ask({ path: "house/temp" }))?.payload.toString()).toBe("warm");
    expect((await device.ask({ method: "delete", path: "house/temp" }))?.code).toBe("2.02");
    await expect.poll(() => came.at(-1)).toMatch(/^house\/temp {2}true/);
    await mqtt.endAsync();
  });

  test("discovery names the channels", async () => {
    await using it = await served(`${BARE}${LISTEN}`);
    const port = Number(/:(\d+)$/.exec(it.listen["coap"]?.[0] ?? "")?.[1]);
    await using device = await openCoapClient(port);
    await device.ask({ method: "put", path: "house/temp", payload: Buffer.from("21") });
    const links = await device.ask({ path: ".well-known/core" });
    expect(links?.payload.toString()).toContain("</house/temp>");
  });

  test("/.well-known/nomq tells product, version and health, and rules say to whom", async () => {
    await using it = await served(`${BARE}${LISTEN}`);
    const port = Number(/:(\d+)$/.exec(it.listen["coap"]?.[0] ?? "")?.[1]);
    await using device = await openCoapClient(port);
    const about = await device.ask({ path: ".well-known/nomq" });
    expect(JSON.parse(about?.payload.toString() ?? "")).toEqual({
      product: "NoMQ Gateway",
      version: gatewayVersion(),
      health: { live: true, ready: true, bridges: { coap: "ready" } },
    });
    await using closed = await served(
      `${BARE}${LISTEN}access: { rules: [{ who: "*", subscribe: ["house/#"] }] }\n`,
    );
    await using other = await openCoapClient(Number(/:(\d+)$/.exec(closed.listen["coap"]?.[0] ?? "")?.[1]));
    expect((await other.ask({ path: ".well-known/nomq" }))?.code).toBe("4.03");
    expect((await other.ask({ path: ".well-known/core" }))?.payload.toString()).toBe("");
  });
});

describe("who may come", () => {
  test("an address that is not admitted gets 4.01, is in the log with the line that would admit it, and in the session log", async () => {
    using folder = testFolder();
    const config = "coap: { listen: [{ url: 'coap://127.0.0.1:0', anonymous: [127.0.0.2] }] }\n";
    await using gateway = await launchGateway({ folder, config });
    await using foreign = await openCoapClient(gateway.port("coap"));
    await using own = await openCoapClient(gateway.port("coap"), "127.0.0.2");
    for (const method of ["get", "put", "post", "delete"] as const) {
      expect([method, (await foreign.ask({ method, path: "a" }))?.code]).toEqual([method, "4.01"]);
    }
    expect((await own.ask({ method: "put", path: "a", payload: Buffer.from("x") }))?.code).toBe("2.01");
    await gateway.said('anonymous: [\\"127.0.0.1/32\\"]', "stderr");
    const client = createControlClient(gateway.controlSocket);
    const { body: log } = await client.get("/api/v1/log");
    expect(log).toContainEqual(
      expect.objectContaining({
        who: "addr:127.0.0.1",
        what: "client.refused",
        details: expect.objectContaining({ reason: "anonymous", address: "127.0.0.1" }),
      }),
    );
    const { body: health } = await client.get("/healthz");
    expect(health).toMatchObject({ coap: { clientsRefused: { anonymous: 4 } } });
  });

  test("the session log has who observes what, and how it ended", async () => {
    await using it = await served(`${BARE}${LISTEN}`);
    await using device = await openCoapClient(Number(/:(\d+)$/.exec(it.listen["coap"]?.[0] ?? "")?.[1]));
    await device.ask({ method: "put", path: "house/temp", payload: Buffer.from("21") });
    await device.observe({ path: "house/temp", tell: () => undefined });
    await device.ask({ method: "delete", path: "house/temp" });
    const entry = (what: string, more: object) =>
      expect.objectContaining({
        who: "addr:127.0.0.1",
        what,
        details: {
          address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
          filter: "house/temp",
          qos: 1,
          ...more,
        },
      });
    const log = async (): Promise<unknown> => (await it.client.get("/api/v1/log")).body;
    await expect
      .poll(log)
      .toEqual(
        expect.arrayContaining([
          entry("subscription.added", {}),
          entry("subscription.removed", { reason: "deleted" }),
        ]),
      );
  });

  test("addr: rules tell addresses apart; what they refuse is 4.03, and said with the rule that would allow it", async () => {
    using folder = testFolder();
    const config =
      "coap: { listen: [{ url: 'coap://127.0.0.1:0', anonymous: [127.0.0.0/8] }] }\n" +
      'access: { rules: [{ who: "addr:127.0.0.2/32", publish: ["s/#"], subscribe: ["s/#"] }] }\n';
    await using gateway = await launchGateway({ folder, config });
    await using one = await openCoapClient(gateway.port("coap"));
    await using two = await openCoapClient(gateway.port("coap"), "127.0.0.2");
    const put = { method: "put", path: "s/a", payload: Buffer.from("x") } as const;
    expect((await one.ask(put))?.code).toBe("4.03");
    expect((await two.ask(put))?.code).toBe("2.01");
    expect((await two.ask({ path: "s/a" }))?.payload.toString()).toBe("x");
    expect((await one.ask({ path: "s/a" }))?.code).toBe("4.03");
    expect((await one.observe({ path: "s/a", tell: () => undefined })).code).toBe("4.03");
    expect((await two.ask({ ...put, path: "other" }))?.code).toBe("4.03");
    await gateway.said('{ who: \\"addr:127.0.0.1\\", publish: [\\"s/a\\"] }', "stderr");
    await gateway.said('{ who: \\"addr:127.0.0.1\\", subscribe: [\\"s/a\\"] }', "stderr");
    const client = createControlClient(gateway.controlSocket);
    const { body: log } = await client.get("/api/v1/log");
    const refusal = (what: string) => expect.objectContaining({ who: "addr:127.0.0.1", what });
    expect(log).toEqual(
      expect.arrayContaining([refusal("publish.refused"), refusal("subscription.refused")]),
    );
    const { body: metrics } = await client.get("/metrics");
    expect(String(metrics)).toMatch(/nomq_ingress_refused_total\{protocol="coap",reason="access"\} 2\n/);
  });
});

test("every notification is accounted for in the metrics", async () => {
  await using it = await served(`${BARE}${LISTEN}`);
  await using device = await openCoapClient(Number(/:(\d+)$/.exec(it.listen["coap"]?.[0] ?? "")?.[1]));
  const told: string[] = [];
  await device.ask({ method: "put", path: "a", payload: Buffer.from("0") });
  for (const type of ["con", "non"] as const)
    await device.observe({ path: "a", type, tell: ({ payload }) => void told.push(payload.toString()) });
  for (const text of ["1", "2", "3"])
    await it.client.publish({ channel: "a", payload: text, qos: 1, retain: true });
  await expect.poll(() => told.filter((text) => text === "3")).toHaveLength(2);
  const metrics = async (): Promise<string> => String((await it.client.get("/metrics")).body);
  const sumOf = (text: string, name: string): number =>
    [...text.matchAll(new RegExp(`^nomq_coap_${name}(?:\\{.*\\})? (\\d+)$`, "gm"))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  const balance = async (): Promise<readonly number[]> => {
    const text = await metrics();
    const [accepted, outcomes, pending] = ["accepted_total", "outcomes_total", "pending"].map((one) =>
      sumOf(text, `notifications_${one}`),
    );
    return [accepted ?? 0, (outcomes ?? 0) + (pending ?? 0), sumOf(text, "observers")];
  };
  await expect.poll(balance).toEqual([6, 6, 2]);
});

test("a section that asks for nothing makes no bridge", async () => {
  await using it = await served(BARE);
  expect(Object.keys(it.gateway.health().bridges)).toEqual([]);
  expect(it.gateway.health().coap).toBeUndefined();
});
