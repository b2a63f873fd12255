import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { launchGateway, nomq, testFolder } from "./launch.ts";
import { takenPorts } from "./taken-ports.ts";

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const ON_ANY_PORT =
  "nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: ['mqtt://127.0.0.1:0', 'ws://127.0.0.1:0'] }\ncoap: { listen: ['coap://127.0.0.1:0'] }\nhttp: { listen: ['http://127.0.0.1:0'] }\n";

describe("start", () => {
  test("something else in the place of the control socket ends it with a reason, and leaves no process", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", ON_ANY_PORT);
    mkdirSync(join(folder.path, "data", "control.sock"), { recursive: true });
    await using program = nomq(["gateway", "--config", file], { cwd: folder.path });
    const { code, stderr } = await program.ended;
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^listen-failed: cannot open the control socket/m),
    ]);
    expect(readdirSync(join(folder.path, "data")).filter((name) => name.startsWith("control"))).toEqual([
      "control.sock",
    ]);
  });

  test("log.format json: standard output is one ready line with the real ports", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    expect(JSON.parse(gateway.stdout())).toEqual({
      event: "ready",
      listen: {
        nomq: [expect.stringMatching(/^udp:\/\/127\.0\.0\.1:[1-9]\d*$/)],
        mqtt: [
          expect.stringMatching(/^mqtt:\/\/127\.0\.0\.1:[1-9]\d*$/),
          expect.stringMatching(/^ws:\/\/127\.0\.0\.1:[1-9]\d*$/),
        ],
        coap: [expect.stringMatching(/^coap:\/\/127\.0\.0\.1:[1-9]\d*$/)],
        http: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/)],
      },
      control: join(folder.path, "data", "control.sock"),
    });
    expect(gateway.stdout().trimEnd().split("\n")).toHaveLength(1);
    for (const line of gateway.stderr().trimEnd().split("\n").filter(Boolean)) {
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), text: expect.any(String) });
    }
  });

  test("pretty: the banner names addresses, data, keys, access and three lines to paste", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", ON_ANY_PORT);
    await using program = nomq(["gateway", "--config", file], { cwd: folder.path });
    await program.said("Try it");
    await program.said("as a device");
    const text = program.stdout();
    const port = /mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    const udp = /udp:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    const key = join(folder.path, "data", "keys", "site.json");
    expect(text).toContain(`site (new: ${key}; copy it to a device to let it join)`);
    expect(text).toContain("(keys, store, session log)");
    expect(text).toContain("MQTT clients without a name may do everything: programs on this machine only\n");
    expect(text).toContain(`mosquitto_sub -h 127.0.0.1 -p ${port} -t demo/hello -v\n`);
    expect(text).toContain(
      `npm start -s -- pub demo/hello "from the command line" --retain --config ${file}\n`,
    );
    expect(text).toContain(
      `pub demo/hello "as a device" --qos 1 --nomq udp://127.0.0.1:${udp} --key data/keys/site.json\n`,
    );
    expect(modeOf(key)).toBe("600");
    expect(modeOf(dirname(key))).toBe("700");
  });

  test("a reader of the banner that leaves takes nothing with it", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", `${ON_ANY_PORT}log: { format: json, level: info }\n`);
    await using program = nomq(["gateway", "--config", file], { cwd: folder.path });
    program.closeStdout();
    const place = ["--config", file];
    const isUp = async (): Promise<boolean> => (await nomq(["pub", "a/b", "x", ...place]).ended).code === 0;
    await expect.poll(isUp).toBe(true);
    program.signal("SIGTERM");
    expect((await program.ended).code).toBe(0);
    expect(program.stderr()).toContain("stopped");
  });

  test("the second start has the keys of the first", async () => {
    using folder = testFolder();
    const keys = join(folder.path, "data", "keys");
    for (let start = 0; start < 2; start += 1) {
      await using gateway = await launchGateway({ folder });
      expect(readdirSync(keys)).toEqual(["site.json"]);
      gateway.signal("SIGTERM");
      expect((await gateway.ended).code).toBe(0);
    }
  });

  test("data: memory leaves nothing behind, and its socket lies in a folder of its own", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder, config: "data: memory\n" });
    expect(modeOf(gateway.controlSocket)).toBe("600");
    expect(modeOf(dirname(gateway.controlSocket))).toBe("700");
    gateway.signal("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    expect(existsSync(dirname(gateway.controlSocket))).toBe(false);
    expect(readdirSync(folder.path)).toEqual(["gateway.yaml"]);
  });

  test("log.file takes the log, and nobody else can read it", async () => {
    using folder = testFolder();
    const config = "log: { format: json, level: debug, file: ./gateway.log }\n";
    await using gateway = await launchGateway({ folder, config });
    gateway.signal("SIGTERM");
    expect(await gateway.ended).toMatchObject({ code: 0, stderr: "" });
    expect(modeOf(join(folder.path, "gateway.log"))).toBe("600");
  });

  test("gateway.yaml in the current folder is used without being named", async () => {
    using folder = testFolder();
    folder.file("gateway.yaml", `log: { format: json }\n${ON_ANY_PORT}`);
    await using program = nomq([], { cwd: folder.path });
    await program.said('{"event":"ready"');
    expect(existsSync(join(folder.path, "data", "control.sock"))).toBe(true);
  });

  test("--data takes another folder than the file's", async () => {
    using folder = testFolder();
    const data = join(folder.path, "elsewhere");
    await using gateway = await launchGateway({ folder, args: ["--data", data] });
    expect(gateway.controlSocket).toBe(join(data, "control.sock"));
    expect(existsSync(join(folder.path, "data"))).toBe(false);
  });
});

describe("signals", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s drains and ends with 0", async (name) => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    gateway.signal(name);
    expect((await gateway.ended).code).toBe(0);
    expect(existsSync(gateway.controlSocket)).toBe(false);
  });

  test("while a silent device holds up the drain, a second signal ends at once", async () => {
    using folder = testFolder();
    await using silent = await takenPorts();
    const device = `{ name: a, address: '127.0.0.1:${silent.udp}', subscribe: [a] }`;
    const config = `nomq: { listen: ['udp://127.0.0.1:0'], devices: [${device}] }\n`;
    await using gateway = await launchGateway({ folder, config });
    await createControlClient(gateway.controlSocket).publish({ channel: "a", payload: "x", qos: 1 });
    gateway.signal("SIGTERM");
    await gateway.said("draining", "stderr");
    gateway.signal("SIGTERM");
    const { code, stderr } = await gateway.ended;
    expect(code).toBe(1);
    expect(stderr).not.toContain("stopped");
  });

  test("an open stream does not hold up the end; its reader is told", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    await using reader = nomq(["sub", "#", "--socket", gateway.controlSocket]);
    await reader.said("subscribed", "stderr");
    gateway.signal("SIGTERM");
    expect((await gateway.ended).code).toBe(0);
    expect(await reader.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("closed: the gateway ended"),
    });
  });
});

test("a device's outbox limits reach its place at the hub", async () => {
  using folder = testFolder();
  await using silent = await takenPorts();
  const outbox = "{ messages: 1, whenFull: refuse }";
  const device = `{ name: pump, address: '127.0.0.1:${silent.udp}', subscribe: [a], outbox: ${outbox} }`;
  const config = `nomq: { listen: ['udp://127.0.0.1:0'], devices: [${device}] }\n`;
  await using gateway = await launchGateway({ folder, config });
  const client = createControlClient(gateway.controlSocket);
  // Nobody answers there: the first stays open, the second meets a full outbox.
  expect((await client.publish({ channel: "a", payload: "1", qos: 1 })).at).toBe("stored");
  expect(await client.publish({ channel: "a", payload: "2", qos: 1 })).toMatchObject({
    at: "refused",
    reason: "outbox-full: nomq:pump",
  });
});
