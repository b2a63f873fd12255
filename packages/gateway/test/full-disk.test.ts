import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device } from "@nomq/core/testing";
import mqtt, { type MqttClient } from "mqtt";
import { describe, expect, test } from "vitest";
import { type LaunchedGateway, launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

const canMount =
  spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs tmpfs /tmp && command -v nsenter fallocate"])
    .status === 0;
const MIB = 1024 * 1024;
const SIZE = 112 * MIB;

/** A small disk under the folder's `data`, which the programs of one mount namespace see. */
interface SmallDisk extends AsyncDisposable {
  readonly under: readonly string[];
  /** Leaves so many bytes free, or gives all room back. */
  leave(bytes: number | undefined): void;
  /** A file of the disk, seen from here. */
  path(name: string): string;
}

async function smallDisk(folder: TestFolder): Promise<SmallDisk> {
  const data = join(folder.path, "data");
  mkdirSync(data);
  const script = 'mount -t tmpfs -o mode=0700,size="$2" tmpfs "$1" && echo mounted && exec sleep 600';
  const holder = spawn("unshare", ["-m", "sh", "-c", script, "sh", data, `${SIZE}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const path = (name: string): string => `/proc/${holder.pid}/root${join(data, name)}`;
  return {
    under: ["nsenter", "-m", "-t", `${holder.pid}`],
    path,
    leave(bytes) {
      rmSync(path("ballast"), { force: true });
      if (bytes === undefined) return;
      const [free = 0] = execFileSync("stat", ["-f", "-c", "%a", path(".")], { encoding: "utf8" })
        .split(" ")
        .map((blocks) => Number(blocks) * 4_096);
      execFileSync("fallocate", ["-l", `${Math.max(free - bytes, 4_096)}`, path("ballast")]);
    },
    async [Symbol.asyncDispose]() {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    },
  };
}

const connect = (gateway: LaunchedGateway, clientId: string): Promise<MqttClient> =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt")}`, { protocolVersion: 5, clientId });

/** The code of the PUBACK; what was refused must reach nobody. */
async function publishes(client: MqttClient, refused: string[] = []): Promise<number> {
  number += 1;
  const text = `number ${number}`;
  try {
    const packet = await client.publishAsync("a/b", text, { qos: 1 });
    return (packet && "reasonCode" in packet ? packet.reasonCode : undefined) ?? 0;
  } catch (error) {
    refused.push(text);
    return error instanceof Error && "code" in error ? Number(error.code) : -1;
  }
}
let number = 0;

interface Reader {
  readonly texts: string[];
  readonly client: MqttClient;
}

async function reader(gateway: LaunchedGateway): Promise<Reader> {
  const client = await connect(gateway, "reader");
  const texts: string[] = [];
  client.on("message", (_topic, payload) => void texts.push(payload.toString()));
  await client.subscribeAsync("a/b", { qos: 1 });
  return { client, texts };
}

describe.skipIf(!canMount)("a gateway on a full disk (needs a mount namespace)", () => {
  test("refuses QoS 1 with 0x97 and lets QoS 0 flow, below its mark and without a byte; heals without a restart", async () => {
    using folder = testFolder();
    await using disk = await smallDisk(folder);
    await using gateway = await launchGateway({ folder, under: disk.under });
    const { client: listener, texts } = await reader(gateway);
    const client = await connect(gateway, "writer");
    const refused: string[] = [];
    expect(await publishes(client)).toBe(0);
    // Without a byte first: the disk's own error is met before anybody has looked.
    for (const left of [0, 16 * MIB]) {
      disk.leave(left);
      await expect.poll(() => publishes(client, refused)).toBe(0x97);
      await client.publishAsync("a/b", `flows ${left}`, { qos: 0 });
      await expect.poll(() => texts).toContain(`flows ${left}`);
    }
    expect(await oldClientPublishes(gateway)).toBe("disconnected");
    disk.leave(undefined);
    await expect.poll(() => publishes(client, refused)).toBe(0);
    await expect.poll(() => texts).toContain(`number ${number}`);
    expect(texts.filter((text) => refused.includes(text) || text === "old")).toEqual([]);
    await gateway.said("the store's disk is full", "stderr");
    await gateway.said("the store's disk has room again", "stderr");
    for (const each of [listener, client]) await each.endAsync(true);
  });

  test("a NoMQ device gets no acknowledgement while it is full, and one once there is room", async () => {
    using folder = testFolder();
    await using disk = await smallDisk(folder);
    await using gateway = await launchGateway({
      folder,
      under: disk.under,
      config: "nomq: { listen: ['udp://127.0.0.1:0'], channels: [a/b] }\n",
    });
    const key = JSON.parse(readFileSync(disk.path("keys/site.json"), "utf8"));
    await using board = runV1Device({
      ...{
        transport: await openUdpTransport({ host: "127.0.0.1", port: 0 }),
        clock: systemClock,
        channels: [],
      },
      encryption: Buffer.from(key.encryption, "hex"),
      mac: Buffer.from(key.mac, "hex"),
    });
    await using socket = await openUdpTransport({ host: "127.0.0.1", port: 0 });
    let answers = 0;
    socket.onDatagram(() => {
      answers += 1;
    });
    const to = { host: "127.0.0.1", port: gateway.port("nomq") };
    const { client, texts } = await reader(gateway);
    const send = async (message: string, qos: 0 | 1 = 1): Promise<void> => {
      const now = Math.floor(Date.now() / 1_000);
      for (const datagram of board.device.publish({ channel: "a/b", message, qos }, now).datagrams)
        await socket.send(datagram, to);
    };
    await send("before");
    await expect.poll(() => answers).toBe(1);
    disk.leave(MIB);
    await expect.poll(() => gateway.stderr()).toContain("disk is full");
    await send("refused");
    await send("flows", 0);
    await expect.poll(() => texts).toContain("flows");
    disk.leave(undefined);
    await expect.poll(() => gateway.stderr()).toContain("has room again");
    await send("after");
    await expect.poll(() => answers).toBe(2);
    await expect.poll(() => texts).toEqual(["before", "flows", "after"]);
    await client.endAsync(true);
  });

  test("started on one it does the same with what it has; a new store is refused by name", async () => {
    using folder = testFolder();
    await using disk = await smallDisk(folder);
    const { under } = disk;
    {
      await using gateway = await launchGateway({ folder, under });
      const client = await connect(gateway, "writer");
      await client.publishAsync("kept", "value", { qos: 1, retain: true });
      gateway.signal("SIGKILL");
      await client.endAsync(true);
      await gateway.ended;
    }
    disk.leave(0);
    {
      await using gateway = await launchGateway({ folder, under });
      const { client: listener, texts } = await reader(gateway);
      const client = await connect(gateway, "writer");
      await listener.subscribeAsync("kept");
      await expect.poll(() => texts).toContain("value");
      expect(await publishes(client)).toBe(0x97);
      await client.publishAsync("a/b", "flows", { qos: 0 });
      await expect.poll(() => texts).toContain("flows");
      disk.leave(undefined);
      await expect.poll(() => publishes(client)).toBe(0);
      for (const each of [listener, client]) await each.endAsync(true);
      gateway.signal("SIGTERM");
      expect((await gateway.ended).code).toBe(0);
    }
    const check = await nomq(["store", "check", join(folder.path, "data")], { under }).ended;
    expect(check).toMatchObject({ code: 0 });
    disk.leave(0);
    const file = folder.file(
      "new.yaml",
      "data: ./data/new\nnomq: { listen: [] }\nmqtt: { listen: [] }\ncoap: { listen: [] }\nhttp: { listen: [] }\n",
    );
    const refused = await nomq(["gateway", "--config", file], { under }).ended;
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^store-full: .*data\/new\/store/m);
  });
});

/** What an MQTT 3.1.1 client sees of a refusal. */
async function oldClientPublishes(gateway: LaunchedGateway): Promise<string> {
  const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt")}`;
  const client = await mqtt.connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0 });
  const closed = new Promise<string>((resolve) => void client.once("close", () => resolve("disconnected")));
  const acknowledged = client.publishAsync("a/b", "old", { qos: 1 }).then(
    () => "acknowledged",
    () => closed,
  );
  const seen = await Promise.race([closed, acknowledged]);
  await client.endAsync(true);
  return seen;
}
