import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { coapClient } from "./real/coap-programs.ts";
import { launchGateway } from "./real/gateway.ts";
import { openModelDevice } from "./real/model-device.ts";
import { vectorKey } from "./real/vectors.ts";

/** What Debian's mosquitto_pub says of its acknowledgement; it ends by itself where there is none. */
async function acknowledgement(port: number, args: readonly string[]): Promise<string> {
  const told = await new Promise<string>((resolve) => {
    const way = ["-h", "127.0.0.1", "-p", String(port), "-d", "-m", "open", ...args];
    execFile("mosquitto_pub", way, { timeout: 20_000 }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
  // It prints no code of PUBREC, but goes on with PUBREL only where there was nothing against it.
  if (/received PUBCOMP/.test(told)) return "PUBCOMP";
  const [, packet, code] = /received (PUBACK|PUBREC) \(Mid: \d+(?:, RC:(\d+))?/.exec(told) ?? [];
  if (packet === undefined) return "none";
  return code === undefined ? packet : `${packet} ${code}`;
}

describeWithPeers("mosquitto_pub at listeners of one gateway", ["mosquitto-clients"], () => {
  test("-q 1 and -q 2: the codes of each point", async () => {
    await using silent = await openModelDevice(vectorKey, ["cmd/valve"]);
    silent.loseReplies(3);
    silent.loseReplies(6);
    await using gateway = await launchGateway({
      nomq: { devices: [{ name: "valve", address: silent.address, key: "site", subscribe: ["cmd/#"] }] },
      mqtt: {
        listen: [
          { url: "mqtt://127.0.0.1:0", ack: "delivered", ackTimeout: "500ms" },
          "mqtt://127.0.0.1:0",
          { url: "mqtt://127.0.0.1:0", ack: "accepted" },
        ],
      },
    });
    const [delivered = 0, stored = 0, accepted = 0] = gateway.mqttPorts;
    for (const qos of [1, 2] as const) {
      const publish = (port: number, topic: string, version = "5"): Promise<string> =>
        acknowledgement(port, ["-V", version, "-t", topic, "-q", String(qos)]);
      const codes = {
        1: { taken: "PUBACK 0", late: "PUBACK 151", lonely: "PUBACK 16", old: "PUBACK 0" },
        2: { taken: "PUBCOMP", late: "PUBREC", lonely: "PUBCOMP", old: "PUBCOMP" },
      }[qos];
      expect(await publish(stored, "cmd/valve")).toBe(codes.taken);
      expect(await publish(accepted, "cmd/valve")).toBe(codes.taken);
      expect(await publish(delivered, "cmd/valve")).toBe(codes.late);
      expect(await publish(delivered, "cmd/valve", "311")).toBe("none");
      expect(await publish(stored, "cmd/valve", "311")).toBe(codes.old);
      for (const port of [delivered, stored, accepted])
        expect(await publish(port, "no/one")).toBe(codes.lonely);
    }
  });
});

describeWithPeers("coap-client at listeners of one gateway", ["libcoap3-bin"], () => {
  test("CON: the codes of each point; a NON waits for no receiver", async () => {
    await using silent = await openModelDevice(vectorKey, ["cmd/valve"]);
    silent.loseReplies(3);
    silent.loseReplies(6);
    await using gateway = await launchGateway({
      nomq: { devices: [{ name: "valve", address: silent.address, key: "site", subscribe: ["cmd/#"] }] },
      coap: {
        listen: [
          { url: "coap://127.0.0.1:0", ack: "delivered", ackTimeout: "500ms" },
          "coap://127.0.0.1:0",
          { url: "coap://127.0.0.1:0", ack: "accepted" },
        ],
      },
    });
    const [delivered = 0, stored = 0, accepted = 0] = gateway.coapPorts;
    const publish = async (port: number, uri: string, more: readonly string[] = []): Promise<string> =>
      (await coapClient(port, uri, { method: "post", body: "open", more })).code;
    expect(await publish(stored, "cmd/valve")).toBe("2.04");
    expect(await publish(accepted, "cmd/valve")).toBe("2.04");
    expect(await publish(delivered, "cmd/valve")).toBe("5.04");
    expect(await publish(delivered, "cmd/valve?qos=2")).toBe("5.04");
    for (const port of [delivered, stored, accepted]) expect(await publish(port, "no/one")).toBe("2.04");
    expect(await publish(stored, "cmd/$SYS?qos=3")).toBe("4.00");
    expect(await publish(stored, "cmd/valve", ["-N"])).toBe("2.04");
  });
});
