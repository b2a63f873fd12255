import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device, type V1Driver } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type LaunchedGateway, launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

/** A board with the gateway's generated key that acknowledges nothing until told. */
async function openBoard(folder: TestFolder): Promise<V1Driver> {
  const key = JSON.parse(readFileSync(join(folder.path, "data/keys/site.json"), "utf8"));
  return runV1Device({
    transport: await openUdpTransport({ host: "127.0.0.1", port: 0 }),
    clock: systemClock,
    encryption: Buffer.from(key.encryption, "hex"),
    mac: Buffer.from(key.mac, "hex"),
    channels: ["cmd/valve"],
    cut: ["ACK"],
  });
}

const endpoint = (gateway: LaunchedGateway) => ({ host: "127.0.0.1", port: gateway.port("nomq") });

async function kill(gateway: LaunchedGateway): Promise<void> {
  gateway.signal("SIGKILL");
  await gateway.ended;
}

const at = ({ controlSocket }: LaunchedGateway): string[] => ["--socket", controlSocket];

async function ok(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await nomq(args).ended;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

describe("after kill -9", () => {
  test("a retained value and a name given by nomq name are there; the log says what was recovered", async () => {
    using folder = testFolder();
    const hash = "870105394b02f6e2dba5a541dc0e779b";
    {
      await using gateway = await launchGateway({ folder });
      await ok(["pub", "plant/level", "7", "--retain", "--qos", "1", ...at(gateway)]);
      await ok(["name", hash, "greenhouse/temperature", ...at(gateway)]);
      await kill(gateway);
    }
    await using again = await launchGateway({ folder });
    expect(await ok(["sub", "plant/level", "--count", "1", ...at(again)])).toBe("plant/level 7\n");
    expect(await ok(["name", "--list", ...at(again)])).toContain("greenhouse/temperature");
    await expect
      .poll(() => again.stderr())
      .toMatch(/"the store is open",.*"attachments":\d+,"waiting":0,"receipts":1,"quarantined":0/);
    await expect
      .poll(() => again.stderr())
      .toMatch(/"the store has been read through","retained":1,"cleared":0,"history":1,"unneeded":0/);
    const recorded = readFileSync(join(folder.path, "data/session-log.jsonl"), "utf8");
    expect(recorded).toMatch(/"store.recovered".*"waiting":0,"receipts":1,"quarantined":0/);
  });

  test("what waited for a configured device reaches it", async () => {
    using folder = testFolder();
    await (await launchGateway({ folder }))[Symbol.asyncDispose]();
    await using board = await openBoard(folder);
    const address = `127.0.0.1:${board.local.port}`;
    const config = `nomq: { listen: ['udp://127.0.0.1:0'], devices: [{ name: valve, address: '${address}', subscribe: ['cmd/#'] }] }\n`;
    {
      await using gateway = await launchGateway({ folder, config });
      await ok(["pub", "cmd/valve", "open", "--qos", "1", ...at(gateway)]);
      await kill(gateway);
    }
    const before = board.received.length;
    await using again = await launchGateway({ folder, config });
    await again.said('"waiting":1', "stderr");
    const came = () =>
      board.received.slice(before).map(({ delivered, log }) => delivered?.text ?? log.join());
    await expect.poll(came).toContain("open");
  });

  test("a datagram recorded before the kill is neither delivered nor answered, from the same and another port", async () => {
    using folder = testFolder();
    const config = "nomq: { listen: ['udp://127.0.0.1:0'], channels: [a, end] }\n";
    const first = await launchGateway({ folder, config });
    await using board = await openBoard(folder);
    const recorded: Uint8Array[] = [];
    const { publish } = board.device;
    await using same = await openUdpTransport({ host: "127.0.0.1", port: 0 });
    await using other = await openUdpTransport({ host: "127.0.0.1", port: 0 });
    const answers: Uint8Array[] = [];
    same.onDatagram((datagram) => void answers.push(datagram));
    const answersElsewhere: Uint8Array[] = [];
    other.onDatagram((datagram) => void answersElsewhere.push(datagram));
    const now = (): number => Math.floor(Date.now() / 1_000);
    recorded.push(...publish({ channel: "a", message: "once", qos: 1 }, now()).datagrams);
    const [replayed = new Uint8Array()] = recorded;
    await same.send(replayed, endpoint(first));
    await expect.poll(() => answers.length).toBe(1);
    await kill(first);

    await using again = await launchGateway({ folder, config });
    await using reader = nomq(["sub", "#", "--count", "1", "--no-retained", ...at(again)]);
    await reader.said("subscribed", "stderr");
    await same.send(replayed, endpoint(again));
    await other.send(replayed, endpoint(again));
    // What is stamped before the second of the start is taken for a replay.
    const started = now();
    await expect.poll(() => now()).toBeGreaterThan(started);
    const [fresh = new Uint8Array()] = publish({ channel: "end", message: "m", qos: 1 }, now()).datagrams;
    await other.send(fresh, endpoint(again));
    expect((await reader.ended).stdout).toBe("end m\n");
    await expect.poll(() => answersElsewhere.length).toBe(1);
    expect(answers).toHaveLength(1);
  });
});

describe("a store that cannot be opened", () => {
  test.each([
    ["newer", "store-newer", '{"format":99,"id":"x"}\n'],
    ["damaged", "store-damaged", "{"],
  ])("%s: exit 1 with the message, and no socket stays", async (_, code, mark) => {
    using folder = testFolder();
    mkdirSync(join(folder.path, "data/store"), { recursive: true });
    writeFileSync(join(folder.path, "data/store/store.json"), mark);
    const file = folder.file(
      "gateway.yaml",
      "nomq: { listen: [] }\nmqtt: { listen: [] }\ncoap: { listen: [] }\nhttp: { listen: [] }\n",
    );
    const ended = await nomq(["gateway", "--config", file]).ended;
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toMatch(new RegExp(`^${code}: `, "m"));
    expect(readdirSync(join(folder.path, "data"))).toEqual(["store"]);
  });
});

describe("nomq store", () => {
  test("check: 0 for a sound store, 1 for a running or missing one, 2 used wrongly", async () => {
    using folder = testFolder();
    const data = join(folder.path, "data");
    {
      await using gateway = await launchGateway({ folder });
      await ok(["pub", "plant/level", "7", "--retain", "--qos", "1", ...at(gateway)]);
      const busy = await nomq(["store", "check", data]).ended;
      expect(busy.code).toBe(1);
      expect(busy.stderr).toMatch(/^data-in-use: a gateway already runs on /);
      gateway.signal("SIGTERM");
      await gateway.ended;
    }
    expect(JSON.parse(await ok(["store", "check", data, "--json"]))).toMatchObject({
      sound: true,
      retained: 1,
    });
    expect((await nomq(["store", "check", join(folder.path, "none")]).ended).code).toBe(1);
    expect((await nomq(["store", "check", data, "--data", data]).ended).code).toBe(2);
  });
});
