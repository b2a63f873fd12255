import { expect, test } from "vitest";
import { createControlClient } from "../packages/gateway/src/control/control-client.ts";
import { openCoapClient, type Reply } from "../packages/gateway/test/coap/client.ts";
import { launchGateway, nomq, testFolder } from "../packages/gateway/test/launch.ts";
import { describeWithPeers } from "./peers.ts";
import { numberOf, OPTION } from "./real/coap-wire.ts";
import { freePorts } from "./real/free-ports.ts";
import { openModelDevice } from "./real/model-device.ts";
import { publish, subscribe } from "./real/mosquitto.ts";
import { PUBLISH } from "./real/seal.ts";
import { vectorKey } from "./real/vectors.ts";

/** Seconds: what is short-lived is still there when it is read, on a busy machine too. */
const SHORT = 15;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function sections(address: string): string {
  const { encryption, mac } = vectorKey;
  const key = { id: "site", encryption: encryption.toString("hex"), mac: mac.toString("hex") };
  const devices = [{ name: "valve", address, subscribe: ["cmd/#"] }];
  return `nomq: ${JSON.stringify({ listen: ["udp://127.0.0.1:0"], keys: [key], devices })}\n`;
}

/** What a GET says of the time that is left; its code where there is no value. */
async function maxAge(port: number, path: string): Promise<number | string | undefined> {
  await using client = await openCoapClient(port);
  const reply = await client.ask({ path });
  return reply?.code === "2.05" ? numberOf(reply, OPTION.maxAge) : reply?.code;
}

describeWithPeers("time to live through a gateway on disk", ["mosquitto-clients"], () => {
  test("what is left goes out at every hop; what expired while the gateway was down is gone and said so", {
    timeout: 180_000,
  }, async () => {
    using folder = testFolder();
    const [port = 0] = await freePorts(1);
    const config = sections(`127.0.0.1:${port}`);
    const ids: Record<string, string> = {};
    let overAt = 0;
    {
      await using first = await launchGateway({ folder, config });
      const at = { host: "127.0.0.1", port: first.port("mqtt", "mqtt") };
      const client = createControlClient(first.controlSocket);
      // By MQTT 5 with its property, by NoMQ's model elsewhere, and through the API.
      const expiring = (seconds: number): string[] => [
        "-V",
        "5",
        "-q",
        "1",
        "-r",
        "-D",
        "publish",
        "message-expiry-interval",
        String(seconds),
      ];
      await publish(at, "cmd/short", "short", expiring(SHORT));
      await publish(at, "cmd/valve", "long", expiring(600));
      const coap = first.port("coap");
      await using device = await openCoapClient(coap);
      const set = (path: string, ttl: number): Promise<Reply | undefined> =>
        device.ask({
          method: "put",
          path,
          query: [`ttl=${ttl}`],
          payload: Buffer.from(ttl < 60 ? "short" : "long"),
        });
      expect((await set("coap/short", SHORT))?.code).toBe("2.01");
      expect((await set("coap/long", 600))?.code).toBe("2.01");
      const api = await client.publish({
        channel: "cmd/api",
        payload: "short",
        qos: 1,
        retain: true,
        ttl: SHORT,
      });
      ids["api"] = api.id;
      overAt = performance.now() + SHORT * 1_000;
      await rest(1_500);
      await using reader = await subscribe(at, "cmd/#", ["-q", "1"]);
      const kept = await reader.atLeast(3);
      const left = new Map(kept.map(({ text, topic, expiry = 0 }) => [`${topic} ${text}`, expiry]));
      expect(left.get("cmd/short short")).toBeLessThan(SHORT);
      expect(left.get("cmd/api short")).toBeLessThan(SHORT);
      expect(left.get("cmd/valve long")).toBeLessThan(600);
      expect(left.get("cmd/valve long")).toBeGreaterThan(500);
      expect(await maxAge(coap, "cmd/valve")).toBeLessThan(600);
      expect(await maxAge(coap, "cmd/valve")).toBeGreaterThan(500);
      expect(await maxAge(coap, "coap/short")).toBeLessThan(SHORT);
      first.signal("SIGKILL");
      await first.ended;
    }
    await rest(overAt - performance.now() + 500);

    await using again = await launchGateway({ folder, config });
    const client = createControlClient(again.controlSocket);
    expect((await client.get("/api/v1/channels/cmd%2Fshort")).status).toBe(404);
    expect((await client.get("/api/v1/channels/cmd%2Fapi")).status).toBe(404);
    expect((await client.get("/api/v1/channels/cmd%2Fvalve")).body).toMatchObject({ payload: "long" });
    expect(await maxAge(again.port("coap"), "coap/short")).toBe("4.04");
    const left = await maxAge(again.port("coap"), "coap/long");
    expect(left).toBeLessThan(597);
    expect(left).toBeGreaterThan(300);
    const history = (await client.get("/api/v1/history/cmd%2Fapi")).body;
    expect(JSON.stringify(history)).not.toContain("short");
    const receipt = async (): Promise<unknown> => (await client.get(`/api/v1/receipts/${ids["api"]}`)).body;
    // The mark of each end is in the store within moments of the start.
    await expect
      .poll(receipt, { timeout: 20_000 })
      .toMatchObject({ outcomes: [{ attachment: "nomq:valve", is: "expired" }] });

    await using valve = await openModelDevice(vectorKey, ["cmd/valve", "cmd/short", "cmd/api"], { port });
    await expect.poll(() => valve.delivered, { timeout: 60_000 }).toContain("cmd/valve long");
    const [sent] = valve.received.filter(({ type, message }) => type === PUBLISH && message === "long");
    expect(sent?.ttl).toBeLessThan(597);
    expect(sent?.ttl).toBeGreaterThan(300);
    // Corrections of what expired are empty; the values themselves never come.
    expect(valve.received.map(({ message }) => message)).not.toContain("short");
    const args = ["sub", "cmd/#", "--count", "1", "--json", "--socket", again.controlSocket];
    const shown = JSON.parse((await nomq(args).ended).stdout);
    expect(shown.expiresAt - Date.now()).toBeLessThan(597_000);
    expect(shown.expiresAt - Date.now()).toBeGreaterThan(300_000);
  });
});
