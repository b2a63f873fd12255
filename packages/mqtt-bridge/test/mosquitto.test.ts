import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { createHub } from "@nomq/core";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { createMqttBridge } from "../src/index.ts";

const run = promisify(execFile);

/** `mosquitto_sub` with its lines, from the moment its subscription is in force. */
async function subscribe(port: string, args: readonly string[]) {
  const child = spawn("mosquitto_sub", ["-h", "127.0.0.1", "-p", port, "-F", "%t %q %r %p", ...args]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async (): Promise<string> => (await lines.next()).value ?? "ended",
    async [Symbol.asyncDispose](): Promise<void> {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describeWithPeers("mosquitto_pub and mosquitto_sub", ["mosquitto-clients"], () => {
  test.each(["mqttv311", "mqttv5"])("publish, read and clear, %s", async (version) => {
    await using hub = createHub();
    const bridge = createMqttBridge({ listen: ["mqtt://127.0.0.1:0"] });
    hub.add(bridge);
    await hub.start();
    const { port } = new URL(bridge.addresses()[0] ?? "");
    const publish = (...args: string[]): Promise<unknown> =>
      run("mosquitto_pub", ["-h", "127.0.0.1", "-p", port, "-V", version, ...args]);
    await publish("-t", "m/kept", "-m", "before", "-q", "1", "-r");
    await using reader = await subscribe(port, ["-V", version, "-t", "m/#", "-q", "2"]);
    expect(await reader.next()).toBe("m/kept 1 1 before");
    for (const qos of ["0", "1", "2"]) {
      await publish("-t", "m/a", "-m", `text ${qos}`, "-q", qos);
      expect(await reader.next()).toBe(`m/a ${qos} 0 text ${qos}`);
    }
    await hub.port("test").publish({ channel: "m/hub", payload: Buffer.from("x"), qos: 2 }, "anonymous");
    expect(await reader.next()).toBe("m/hub 2 0 x");
    await publish("-t", "m/kept", "-n", "-q", "1", "-r");
    expect(await reader.next()).toBe("m/kept 1 0 ");
    expect(await hub.port("test").latest("m/kept", "anonymous")).toBeUndefined();
  });
});
