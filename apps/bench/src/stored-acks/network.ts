import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNomqNode, type Key, type NomqNode, openUdpTransport } from "@nomq/core";
import { type MeasuredProcess, startMeasured } from "./measured.ts";
import { connectMqtt, type MqttClient } from "./mqtt-client.ts";

/** Publishes one message; calls back when it is acknowledged. */
export type PublishOne = (index: number, acknowledged: () => void) => void;

/** A way of publishing, and whom it reaches. */
export interface Way {
  readonly publish: PublishOne;
  /** Messages that have come through to the receiver so far. */
  readonly received: () => number;
}

/** One gateway with a publisher and a durable receiver on either side. */
export interface Network extends AsyncDisposable {
  readonly gateway: MeasuredProcess;
  readonly nomq: Way;
  readonly mqtt: Way;
  /** Bytes in its data folder; 0 in memory. */
  bytesOnDisk(): Promise<number>;
}

/** What a sensor says. */
export const PAYLOAD: Buffer = Buffer.from(
  JSON.stringify({ t: 21.53, rh: 48.2, seq: 123_456, id: "pump-7", ok: true }),
);
/** To one device one message of a channel is on the way at a time: as many channels as messages in flight. */
const CHANNELS = 256;
const upward = (index: number): string => `bench/up/${index % CHANNELS}`;
const downward = (index: number): string => `bench/down/${index % CHANNELS}`;
const GATEWAY = "gateway";

/**
 * NoMQ publishes go to an MQTT session with a QoS 1 subscription, MQTT publishes to a configured NoMQ device: both are
 * there and acknowledge, and both are durable, so that every message is stored for them.
 */
export async function startNetwork(data: "disk" | "memory"): Promise<Network> {
  const folder = await mkdtemp(join(tmpdir(), "nomq-bench-"));
  const key = { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" } as const;
  const device = await startDevice(key);
  const config = configOf(key, device.port, data === "memory" ? "memory" : join(folder, "data"));
  // Every JSON text is YAML too.
  const gateway = await startMeasured(JSON.stringify(config));
  const sender = await startSender(key, gateway.nomqPort);
  const receiver = await connectMqtt(gateway.mqttPort, "receiver", PAYLOAD);
  await receiver.subscribe("bench/up/+");
  const publisher = await connectMqtt(gateway.mqttPort, "publisher", PAYLOAD);
  return {
    gateway,
    nomq: { publish: publishNomq(sender), received: receiver.received },
    mqtt: { publish: publishMqtt(publisher), received: device.received },
    bytesOnDisk: () => (data === "memory" ? Promise.resolve(0) : sizeOf(join(folder, "data", "store"))),
    [Symbol.asyncDispose]: async () => {
      publisher[Symbol.dispose]();
      receiver[Symbol.dispose]();
      await sender[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
      await device.node[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A node of ours in the place of a device: v1 devices take five datagrams a second. */
async function startDevice(key: Key) {
  const node = createNomqNode({
    transport: () => openUdpTransport({ host: "127.0.0.1" }),
    keys: [key],
    channels: Array.from({ length: CHANNELS }, (_, at) => downward(at)),
    limits: { channels: 1_000, transfers: 2_000_000, window: 2_000_000 },
  });
  let received = 0;
  node.receive({
    message: async () => {
      received += 1;
      return { is: "accepted" };
    },
  });
  await node.start();
  return { node, port: node.local()?.port ?? 0, received: () => received };
}

function configOf(key: Key, devicePort: number, data: string) {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const address = `127.0.0.1:${devicePort}`;
  return {
    version: 1,
    data,
    nomq: {
      listen: ["udp://127.0.0.1:0"],
      keys: [{ id: key.id, encryption: hex(key.encryption), mac: hex(key.mac) }],
      channels: Array.from({ length: CHANNELS }, (_, at) => upward(at)),
      devices: [{ name: "bench", kind: "node", address, subscribe: ["bench/down/+"] }],
    },
    mqtt: { listen: ["mqtt://127.0.0.1:0"] },
    coap: { listen: [] },
    http: { listen: [] },
  };
}

async function startSender(key: Key, port: number): Promise<NomqNode> {
  const sender = createNomqNode({
    transport: () => openUdpTransport({ host: "127.0.0.1" }),
    keys: [key],
    limits: { pending: 1_000, channels: 1_000 },
    peers: [{ name: GATEWAY, address: { host: "127.0.0.1", port }, kind: "node" }],
  });
  await sender.start();
  return sender;
}

const publishNomq =
  (node: NomqNode): PublishOne =>
  (index, acknowledged) => {
    void node.publish(upward(index), PAYLOAD, { to: GATEWAY, qos: 1 }).then((outcome) => {
      if (outcome.is !== "delivered") throw new Error(`a message of the benchmark is ${outcome.is}`);
      acknowledged();
    });
  };

const publishMqtt =
  (client: MqttClient): PublishOne =>
  (index, acknowledged) =>
    client.publish(downward(index), acknowledged);

/** Bytes of the files in a folder, without what a store keeps back. */
export async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === "reserve") continue;
    // Compaction removes files while we look.
    bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))).size;
  }
  return bytes;
}
