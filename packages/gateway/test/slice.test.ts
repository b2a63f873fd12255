import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { publish, subscribe } from "../../../test/real/mosquitto.ts";
import { launchGateway, nomq, testFolder } from "./launch.ts";

describeWithPeers("through the real gateway", ["mosquitto-clients"], () => {
  test("a NoMQ datagram prints in mosquitto_sub, and mosquitto_pub prints in nomq sub", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const mqtt = { host: "127.0.0.1", port: gateway.port("mqtt", "mqtt:") };
    await using printer = await subscribe(mqtt, "factory/#");
    await using reader = nomq([
      "sub",
      "factory/+",
      "--json",
      "--count",
      "2",
      "--socket",
      gateway.controlSocket,
    ]);
    await reader.said("subscribed", "stderr");

    await publish(mqtt, "factory/speed", "stop");
    await reader.said("stop");
    // Hashes alone travel on NoMQ: the name is known from the message before.
    const peer = ["--nomq", `udp://127.0.0.1:${gateway.port("nomq")}`];
    const key = ["--key", join(folder.path, "data/keys/site.json")];
    expect((await nomq(["pub", "factory/speed", "42", "--qos", "1", ...peer, ...key]).ended).code).toBe(0);

    const printed = await printer.atLeast(2);
    expect(printed.map(({ topic, text }) => `${topic} ${text}`)).toEqual([
      "factory/speed stop",
      "factory/speed 42",
    ]);
    const { code, stdout } = await reader.ended;
    expect(code).toBe(0);
    const messages = stdout.trimEnd().split("\n");
    expect(messages.map((line) => JSON.parse(line))).toMatchObject([
      {
        channel: "factory/speed",
        payload: "stop",
        qos: 0,
        retain: false,
        priority: 0,
        origin: "mqtt:broker",
      },
      { channel: "factory/speed", payload: "42", qos: 1, retain: false, priority: 0, origin: "nomq" },
    ]);
  });
});
