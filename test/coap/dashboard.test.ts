import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type CoapServer, coapClient, startCoapServer } from "../real/coap-programs.ts";
import { type Gateway, launchGateway } from "../real/gateway.ts";
import { type ModelDevice, openModelDevice } from "../real/model-device.ts";
import { publish, subscribe } from "../real/mosquitto.ts";
import { vectorKey } from "../real/vectors.ts";

describeWithPeers("a CoAP sensor on an MQTT dashboard", ["libcoap3-bin", "mosquitto-clients"], () => {
  let sensor: CoapServer;
  let device: ModelDevice;
  let gateway: Gateway;
  const set = (body: string) => coapClient(sensor.port, "temp", { method: "put", body, more: ["-t", "50"] });
  beforeAll(async () => {
    sensor = await startCoapServer();
    await set("20.5");
    device = await openModelDevice(vectorKey, ["pump/set"]);
    const pump = { name: "pump", address: device.address, key: "site", subscribe: ["pump/#"] };
    gateway = await launchGateway({
      nomq: { devices: [pump] },
      coap: {
        observe: [
          { url: sensor.url("temp"), channel: "roof/temp", expire: true },
          { url: sensor.url("time"), channel: "roof/time" },
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    await sensor[Symbol.asyncDispose]();
  });

  test("a resource that changes appears in mosquitto_sub, with content type, time to live and retain", async () => {
    await using dashboard = await subscribe(gateway.mqtt, "roof/temp", ["-q", "1", "--retain-as-published"]);
    await dashboard.atLeast(1);
    for (const value of ["21", "21.5"]) {
      await set(value);
      await expect.poll(() => dashboard.printed.at(-1)?.text).toBe(value);
    }
    const [last] = dashboard.printed.slice(-1);
    expect(last).toMatchObject({ qos: 1, retain: true, contentType: "application/json" });
    // The server says no Max-Age, which means 60 s (RFC 7252 section 5.10.5).
    expect(last?.expiry).toBeGreaterThan(0);
    expect(last?.expiry).toBeLessThanOrEqual(60);
    await using late = await subscribe(gateway.mqtt, "roof/temp");
    await late.atLeast(1);
    expect(late.printed[0]).toMatchObject({ text: "21.5", retain: true, contentType: "application/json" });
  });

  test("a clock that ticks each second ticks on the dashboard", async () => {
    await using dashboard = await subscribe(gateway.mqtt, "roof/time", ["-q", "1", "--retain-as-published"]);
    await dashboard.atLeast(3);
    const ticks = dashboard.printed.filter(({ text }) => text !== "");
    expect(new Set(ticks.map(({ text }) => text)).size).toBe(ticks.length);
    expect(ticks.every(({ retain, expiry = 0 }) => retain && expiry <= 1)).toBe(true);
  });

  test("coap-client's PUT is a NoMQ datagram at a v1 device, once", async () => {
    const put = await coapClient(gateway.coapPort, "pump/set", { method: "put", body: "on" });
    expect(put.code).toBe("2.01");
    await expect.poll(() => device.delivered).toEqual(["pump/set on"]);
  });

  test("what mosquitto_pub -r retains is read by coap-client, with content type and the time that is left", async () => {
    const properties = ["message-expiry-interval 100", "content-type application/json"];
    const more = properties.flatMap((each) => ["-D", "publish", ...each.split(" ")]);
    await publish(gateway.mqtt, "room/set", '{"t":21}', ["-r", "-q", "1", "-V", "mqttv5", ...more]);
    const got = await coapClient(gateway.coapPort, "room/set");
    expect([got.code, got.body.toString()]).toEqual(["2.05", '{"t":21}']);
    expect(got.options).toContain("Content-Format:application/json");
    const age = Number(got.options.find((each) => each.startsWith("Max-Age:"))?.slice("Max-Age:".length));
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThanOrEqual(100);
    await publish(gateway.mqtt, "room/set", "", ["-r", "-q", "1"]);
    await expect.poll(async () => (await coapClient(gateway.coapPort, "room/set")).code).toBe("4.04");
  });
});
