import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { banner } from "../src/banner.ts";
import { createControlClient } from "../src/control/control-client.ts";
import { parseConfig } from "../src/index.ts";
import { newKey } from "../src/keys.ts";
import { launchGateway, nomq, testFolder } from "./launch.ts";

const SECTIONS = (time: string): string =>
  `nomq: { listen: ['udp://127.0.0.1:0'], time: '${time}' }\nmqtt: { listen: [] }\ncoap: { listen: [] }\nhttp: { listen: [] }\n`;

/** Asks as MicroPython's `ntptime` does; the Unix seconds of the answer. */
async function askTime(port: number): Promise<number> {
  const socket = createSocket("udp4");
  try {
    const request = new Uint8Array(48);
    request[0] = 0x1b;
    socket.send(request, port, "127.0.0.1");
    const [reply] = (await once(socket, "message")) as [Buffer];
    expect(reply).toHaveLength(48);
    return reply.readUInt32BE(40) - 2_208_988_800;
  } finally {
    socket.close();
  }
}

describe("nomq.time", () => {
  test("answers SNTP; the ready line and the banner name it, apart from the NoMQ listeners", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder, config: SECTIONS("udp://127.0.0.1:0") });
    const ready = JSON.parse(gateway.stdout());
    expect(ready.listen.nomq).toHaveLength(1);
    expect(ready.time).toMatch(/^udp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    const before = Math.floor(Date.now() / 1000);
    const told = await askTime(Number(/:(\d+)$/.exec(ready.time)?.[1]));
    expect(told).toBeGreaterThanOrEqual(before);
    expect(told).toBeLessThanOrEqual(Date.now() / 1000);
    const { body } = await createControlClient(gateway.controlSocket).get("/healthz");
    expect(body).toMatchObject({ nomq: { time: { answered: 1, ignored: 0, limited: 0 } } });
    gateway.signal("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
  });

  test("is off unless asked for", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    expect(JSON.parse(gateway.stdout())).not.toHaveProperty("time");
    const { body } = await createControlClient(gateway.controlSocket).get("/healthz");
    expect(body).not.toHaveProperty("nomq.time");
  });

  test("a port in use: exit 1 naming port and key; --port-offset shifts it", async () => {
    using folder = testFolder();
    const other = createSocket("udp4").bind(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address();
    try {
      const file = folder.file("gateway.yaml", SECTIONS(`udp://127.0.0.1:${port}`));
      const { code, stdout, stderr } = await nomq(["gateway", "--config", file]).ended;
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain(`port-in-use: nomq.time: port ${port}: udp://127.0.0.1:${port} is taken`);
      const below = folder.file("gateway.yaml", SECTIONS(`udp://127.0.0.1:${port - 100}`));
      const shifted = await nomq(["gateway", "--config", below, "--port-offset", "100"]).ended;
      expect(shifted.stderr).toContain(`port-in-use: nomq.time: port ${port}: `);
    } finally {
      other.close();
    }
  });

  test.each([
    ["nomq: { listen: [], time: 'udp://[::]:123' }", "nomq.time: is served with the NoMQ listeners"],
    ["nomq: { time: 'udp://time.local:123' }", "nomq.time: expected udp:// with an IP address and a port"],
    ["nomq: { time: 'ntp://[::]:123' }", "nomq.time: expected udp:// with an IP address and a port"],
  ])("%s is refused", (text, words) => {
    expect(() => parseConfig({ name: "test", text, folder: "/" })).toThrow(words);
  });

  test("the banner has a line for it", () => {
    const running = {
      listen: { nomq: ["udp://[::]:8888"] },
      time: "udp://[::]:123",
      controlSocket: "/data/control.sock",
      keys: { keys: [newKey("a")], from: "folder" as const, path: "/data/keys" },
    };
    const options = { version: "1", command: "nomq", data: "/data", mqttListen: [], place: "" };
    expect(banner(running, options)).toMatch(
      /^ {2}time +udp:\/\/\[::\]:123 \(SNTP, for devices without Internet\)$/m,
    );
  });
});
