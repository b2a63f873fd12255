import { createNomqNode, type Key, type NodeLimits, type NomqNode, openUdpTransport } from "@nomq/core";
import { connectAsync, type IPublishPacket } from "mqtt";
import { type ModelDevice, openModelDevice } from "../real/model-device.ts";
import type { MqttAddress } from "../real/mosquitto.ts";
import { channelId, PUBLISH } from "../real/seal.ts";
import { vectorKey } from "../real/vectors.ts";
import { byName } from "./oracle.ts";
import type { Carried } from "./sample.ts";

/** One who reads every channel of the walk. */
export interface Receiver extends AsyncDisposable {
  /** What came on a channel, in order. */
  on(channel: string): readonly Carried[];
}

/** Key of the vectors as the codec takes it. */
export const key: Key = {
  id: "site",
  encryption: vectorKey.encryption,
  mac: vectorKey.mac,
  dialect: "auto",
};
/** A v1 device subscribes to at most so many channels. */
const DEVICE_CHANNELS = 20;
/** What a node of its own holds by default is less than the walk needs. */
export const ROOM: Partial<NodeLimits> = { channels: 10_000, pending: 10_000, retained: 0, message: 65_507 };

/** v1 devices, as many as the channels need. */
export async function openDevices(
  channels: readonly string[],
): Promise<Receiver & { readonly entries: readonly object[] }> {
  await using stack = new AsyncDisposableStack();
  const devices: { readonly subscribe: readonly string[]; readonly model: ModelDevice }[] = [];
  for (let at = 0; at < channels.length; at += DEVICE_CHANNELS) {
    const subscribe = channels.slice(at, at + DEVICE_CHANNELS);
    devices.push({ subscribe, model: stack.use(await openModelDevice(vectorKey, subscribe)) });
  }
  const modelOf = new Map(devices.flatMap(({ subscribe, model }) => subscribe.map((name) => [name, model])));
  const idOf = new Map(channels.map((channel) => [channel, channelId(channel).toString("hex")]));
  const kept = stack.move();
  return {
    entries: devices.map(({ subscribe, model: { address } }, at) => ({
      name: `device-${at}`,
      address,
      key: "site",
      subscribe,
      binary: "base64",
    })),
    on(channel) {
      const id = idOf.get(channel);
      const received = modelOf.get(channel)?.received ?? [];
      const packets = received.filter((one) => one.type === PUBLISH && one.channelId === id);
      return packets.map(({ flags, ttl, plaintext }) => ({
        payload: plaintext.subarray(20, 20 + plaintext.readUInt32BE(12)),
        qos: flags & 3,
        retain: (flags & 4) !== 0,
        ttl,
        priority: flags >> 4 || undefined,
      }));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A node of ours; `address` is where it listens. */
export async function openNode(
  channels: readonly string[],
): Promise<Receiver & { readonly address: string; readonly node: NomqNode }> {
  const arrived = new Map<string, Carried[]>();
  const transport = await openUdpTransport({ host: "127.0.0.1", port: 0 });
  const node = createNomqNode({ transport, keys: [key], channels, limits: ROOM });
  node.receive({
    message: async ({ channel, payload, qos, retain, ttl, priority }) => {
      const one = { payload: Buffer.from(payload), qos, retain, ttl, priority: priority || undefined };
      put(arrived, channel, one);
      return { is: "accepted" };
    },
  });
  await node.start();
  return {
    node,
    address: `127.0.0.1:${transport.local.port}`,
    on: (channel) => arrived.get(channel) ?? [],
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

/** An MQTT client that reads everything below a filter. */
export async function openMqtt(
  at: MqttAddress,
  version: 4 | 5,
  filter: string,
): Promise<Receiver & { readonly channels: () => readonly string[] }> {
  const arrived = new Map<string, Carried[]>();
  const client = await connectAsync({ ...at, protocolVersion: version, reconnectPeriod: 0 });
  client.on("message", (topic, _payload, packet) => put(arrived, topic, readPublish(packet)));
  await client.subscribeAsync(filter, { qos: 2, ...(version === 5 && { rap: true }) });
  return {
    channels: () => [...arrived.keys()],
    on: (channel) => arrived.get(channel) ?? [],
    [Symbol.asyncDispose]: () => client.endAsync(),
  };
}

function readPublish({ payload, qos, retain, properties = {} }: IPublishPacket): Carried {
  const { priority, ...others } = properties.userProperties ?? {};
  const pairs = Object.entries(others).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => [name, value] as const),
  );
  return {
    payload: Buffer.from(payload),
    qos,
    retain,
    ttl: properties.messageExpiryInterval,
    contentType: properties.contentType,
    priority: priority === undefined ? undefined : Number(priority),
    properties: pairs.length > 0 ? byName(pairs) : undefined,
    responseChannel: properties.responseTopic,
    correlation: properties.correlationData?.toString("hex"),
  };
}

function put(arrived: Map<string, Carried[]>, channel: string, one: Carried): void {
  const before = arrived.get(channel);
  if (before === undefined) arrived.set(channel, [one]);
  else before.push(one);
}
