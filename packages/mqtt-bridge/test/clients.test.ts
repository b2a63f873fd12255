import { createHub } from "@nomq/core";
import type { MqttClient } from "mqtt";
import { connectAsync } from "mqtt";
import { describe, expect, test } from "vitest";
import { createMqttBridge } from "../src/index.ts";

/** Messages as a client gets them, as text. */
function collect(client: MqttClient): { readonly next: () => Promise<string> } {
  const got: string[] = [];
  let wake: () => void = () => undefined;
  client.on("message", (topic, payload, { qos, retain }) => {
    got.push(`${topic} ${payload.toString()} ${qos}${retain ? " retained" : ""}`);
    wake();
  });
  return {
    async next() {
      while (got.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return got.shift() ?? "";
    },
  };
}

const cases = (["mqtt", "ws"] as const).flatMap((scheme) =>
  ([4, 5] as const).map((version) => [scheme, version] as const),
);

describe.each(cases)("MQTT.js over %s, protocol level %i", (scheme, protocolVersion) => {
  test("talks to the hub and to others of its kind at every QoS", async () => {
    await using hub = createHub();
    const bridge = createMqttBridge({ listen: [`${scheme}://127.0.0.1:0`] });
    hub.add(bridge);
    await hub.start();
    const port = hub.port("test");
    const url = bridge.addresses()[0] ?? "";
    const [reader, writer] = await Promise.all([
      connectAsync(url, { protocolVersion, reconnectPeriod: 0 }),
      connectAsync(url, { protocolVersion, reconnectPeriod: 0 }),
    ]);
    const messages = collect(reader);
    await port.publish(
      { channel: "state/a", payload: Buffer.from("kept"), qos: 1, retain: true },
      "anonymous",
    );
    await reader.subscribeAsync({ "state/#": { qos: 1 }, "q/+": { qos: 2 } });
    expect(await messages.next()).toBe("state/a kept 1 retained");
    for (const qos of [0, 1, 2] as const) {
      await writer.publishAsync("q/own", `own ${qos}`, { qos });
      expect(await messages.next()).toBe(`q/own own ${qos} ${qos}`);
      await port.publish({ channel: "q/hub", payload: Buffer.from(`hub ${qos}`), qos }, "anonymous");
      expect(await messages.next()).toBe(`q/hub hub ${qos} ${qos}`);
    }
    await writer.publishAsync("state/a", "", { qos: 1, retain: true });
    expect(await messages.next()).toBe("state/a  1");
    expect(await port.latest("state/a", "anonymous")).toBeUndefined();
    await Promise.all([reader.endAsync(), writer.endAsync()]);
  });
});

test("the README's lines work: an embedded hub with an MQTT broker", async () => {
  await using hub = createHub();
  const bridge = createMqttBridge({ listen: ["mqtt://127.0.0.1:0"] });
  hub.add(bridge);
  await hub.start();
  expect(bridge.status().state).toBe("ready");
  expect(hub.attachments().map(({ name }) => name)).toContain("mqtt:broker");
});

test("a client that says what the hub has just said is heard: it is no echo", async () => {
  await using hub = createHub();
  const bridge = createMqttBridge({ listen: ["mqtt://127.0.0.1:0"] });
  hub.add(bridge);
  await hub.start();
  const heard: string[] = [];
  const port = hub.port("test");
  await port.attach({
    name: "test:recorder",
    as: "anonymous",
    filters: ["cmd"],
    durable: false,
    deliver: async ({ origin, payload }) => {
      heard.push(`${origin} ${Buffer.from(payload).toString()}`);
      return { is: "delivered" };
    },
  });
  const client = await connectAsync(bridge.addresses()[0] ?? "", { protocolVersion: 5, reconnectPeriod: 0 });
  const messages = collect(client);
  await client.subscribeAsync("cmd", { qos: 1 });
  await port.publish({ channel: "cmd", payload: Buffer.from("on"), qos: 1 }, "anonymous");
  expect(await messages.next()).toBe("cmd on 1");
  await client.publishAsync("cmd", "on", { qos: 1 });
  while (heard.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toEqual(["test on", "mqtt:broker on"]);
  await client.endAsync();
});
