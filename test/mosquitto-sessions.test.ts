import { execFile } from "node:child_process";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { expect, test } from "vitest";
import { type LaunchedGateway, launchGateway, testFolder } from "../packages/gateway/test/launch.ts";
import { describeWithPeers } from "./peers.ts";

const run = promisify(execFile);
const CONFIG = "nomq: { listen: [] }\n";

/** Runs one of Mosquitto's clients to its end. */
async function mosquitto(gateway: LaunchedGateway, command: "pub" | "sub", args: string): Promise<string> {
  const port = String(gateway.port("mqtt", "mqtt:"));
  const all = ["-h", "127.0.0.1", "-p", port, ...args.split(" ")];
  const { stdout } = await run(`mosquitto_${command}`, all, { timeout: 30_000 });
  return stdout;
}

async function kill(gateway: LaunchedGateway): Promise<void> {
  gateway.signal("SIGKILL");
  await gateway.ended;
}

describeWithPeers("MQTT sessions over kill -9, with other people's clients", ["mosquitto-clients"], () => {
  test("mosquitto_sub and MQTT.js find what was published at QoS 1 and 2 while they were away", async () => {
    using folder = testFolder();
    const options = { clientId: "js", clean: false, reconnectPeriod: 0 };
    {
      await using gateway = await launchGateway({ folder, config: CONFIG });
      await mosquitto(gateway, "sub", "-c -i away -q 2 -t house/# -E");
      const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt:")}`;
      const client = await mqtt.connectAsync(url, options);
      await client.subscribeAsync("house/+", { qos: 2 });
      await client.endAsync();
      for (const [at, qos] of [1, 2, 1, 2].entries()) {
        await mosquitto(gateway, "pub", `-q ${qos} -t house/${at} -m ${qos}`);
      }
      await kill(gateway);
    }
    await using gateway = await launchGateway({ folder, config: CONFIG });
    const seen = await mosquitto(gateway, "sub", "-c -i away -q 2 -t house/# -C 4 -v");
    const lines = ["house/0 1", "house/1 2", "house/2 1", "house/3 2"];
    // Both hand QoS 2 on at PUBREL, after the QoS 1 behind it.
    expect(seen.trim().split("\n").toSorted()).toEqual(lines);
    const got: string[] = [];
    const client = mqtt.connect(`mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt:")}`, options);
    client.on("message", (topic, payload) => void got.push(`${topic} ${payload.toString()}`));
    await new Promise<void>((resolve) =>
      client.on("connect", ({ sessionPresent }) => sessionPresent && resolve()),
    );
    await expect.poll(() => got.toSorted(), { timeout: 20_000 }).toEqual(lines);
    await client.endAsync();
  });
});
