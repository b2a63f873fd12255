import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createNomqNode, type NomqNode, openUdpTransport } from "@nomq/core";
import { connect, type MqttClient } from "mqtt";
import { readEvents } from "../../../src/control/server-sent-events.ts";
import { ask } from "./ask.ts";
import { KEYS, PASSWORDS, TOKENS, type TokenName, type UserName, type WalkGateway } from "./gateway.ts";
import { CHANNELS, MARK_CHANNELS, MARKS } from "./rules.ts";

/** Someone who reads, on a socket. */
export interface Receiver extends AsyncDisposable {
  readonly name: string;
  /** The principal that the rules see. */
  readonly who: string;
  /** The filters it was granted. */
  readonly filters: string[];
  /** Filters that it was refused. */
  readonly refused: string[];
  /** What is sent from the same side does not come back to it. */
  readonly side?: string;
  /** What has come: `CHANNEL TEXT`. */
  readonly got: Set<string>;
  away?(): Promise<void>;
  back?(): Promise<void>;
}

type Made = Omit<Receiver, typeof Symbol.asyncDispose>;

const made = (name: string, who: string): Made => ({
  ...{ name, who },
  filters: [],
  refused: [],
  got: new Set(),
});

const ends = [MARKS];

/** An MQTT client; `lasting` keeps its session while it is away. */
export async function mqttReceiver(
  gateway: WalkGateway,
  wanted: { version: 4 | 5; user?: UserName; filters: readonly string[]; lasting?: boolean },
): Promise<Receiver> {
  const { version, user, filters, lasting = false } = wanted;
  const kind = `mqtt ${version} ${user ?? "anonymous"}`;
  const one = made(
    lasting ? `${kind} lasting` : kind,
    user === undefined ? "addr:127.0.0.1" : `user:${user}`,
  );
  const clientId = lasting ? one.name : `${one.name} ${randomUUID()}`;
  const open = async (): Promise<MqttClient> => {
    const client = connect(`mqtt://127.0.0.1:${gateway.mqtt}`, {
      ...{ protocolVersion: version, reconnectPeriod: 0, clientId, clean: !lasting },
      ...(version === 5 && lasting && { properties: { sessionExpiryInterval: 600 } }),
      ...(user !== undefined && { username: user, password: PASSWORDS[user] }),
    });
    // What waits for the session comes with the connection.
    client.on("message", (topic, payload) => void one.got.add(`${topic} ${payload.toString()}`));
    await new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.once("error", reject);
    });
    return client;
  };
  let client = await open();
  for (const filter of [...filters, ...ends]) {
    // MQTT.js rejects where the SUBACK refuses.
    const granted = await client.subscribeAsync(filter, { qos: 1 }).catch(() => [{ qos: 128 }]);
    const isGranted = granted.every(({ qos }) => qos < 128);
    (isGranted ? one.filters : one.refused).push(filter);
  }
  return {
    ...one,
    away: () => client.endAsync(),
    async back() {
      client = await open();
    },
    [Symbol.asyncDispose]: () => client.endAsync(true),
  };
}

/** A reader of the HTTP stream. */
export async function httpReceiver(
  gateway: WalkGateway,
  wanted: { token?: TokenName; filters: readonly string[] },
): Promise<Receiver> {
  const { token, filters } = wanted;
  const who = token === undefined ? "addr:127.0.0.1" : `token:${token}`;
  const one = made(`http ${token ?? "anonymous"}`, who);
  const open = async (some: readonly string[]): Promise<IncomingMessage> => {
    const query = new URLSearchParams();
    for (const filter of some) query.append("filter", filter);
    return await ask(gateway.http, { path: `stream?${query}`, token: token && TOKENS[token] });
  };
  for (const filter of filters) {
    const asked = await open([filter]);
    (asked.statusCode === 200 ? one.filters : one.refused).push(filter);
    asked.destroy();
  }
  one.filters.push(...ends);
  const body = await open(one.filters);
  const ready = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const { event, data } of readEvents(body)) {
      if (event === "ready") ready.resolve();
      if (event !== "message") continue;
      const { channel, payload } = JSON.parse(data);
      one.got.add(`${channel} ${payload}`);
    }
  })().catch(() => undefined);
  await ready.promise;
  return {
    ...one,
    async [Symbol.asyncDispose]() {
      body.destroy();
      await reading;
    },
  };
}

const GATEWAY = "gateway";

/** A node of the configuration: open before the gateway is, which has no port before; it can go and come back. */
export async function deviceReceiver(
  filters: readonly string[],
): Promise<Receiver & { readonly address: string; meet(gateway: WalkGateway): void }> {
  const one = made("nomq device", "nomq:field");
  one.filters.push(...filters, ...ends);
  let node = await openNode(1, { got: one.got });
  const port = node.local()?.port ?? 0;
  let at: number | undefined;
  return {
    ...one,
    address: `127.0.0.1:${port}`,
    away: () => node.stop(),
    meet(gateway) {
      at = gateway.nomq;
    },
    async back() {
      node = await openNode(1, { got: one.got, port, ...(at !== undefined && { gateway: at }) });
      // Heard of, it is sent what waits at once.
      if (at !== undefined) await node.publish("end/0", Buffer.from("x"), { to: GATEWAY });
    },
    [Symbol.asyncDispose]: () => node.stop(),
  };
}

/** A node that says which channels it wants. */
export async function nodeReceiver(gateway: WalkGateway, channels: readonly string[]): Promise<Receiver> {
  const one = made("nomq node", "nomq:site");
  const node = await openNode(0, { got: one.got, gateway: gateway.nomq });
  one.filters.push(...channels, ...MARK_CHANNELS);
  for (const channel of one.filters) await node.subscribe(channel, GATEWAY);
  return { ...one, [Symbol.asyncDispose]: () => node.stop() };
}

/** A node that writes. */
export const senderNode = (keyAt: 0 | 1, gateway: WalkGateway): Promise<NomqNode> =>
  openNode(keyAt, { got: new Set(), gateway: gateway.nomq });

async function openNode(
  keyAt: 0 | 1,
  { got, port = 0, gateway }: { got: Set<string>; port?: number; gateway?: number },
): Promise<NomqNode> {
  const given = KEYS[keyAt];
  if (given === undefined) throw new Error("no such key");
  const { id, encryption, mac } = given;
  const key = { id, encryption: Buffer.from(encryption, "hex"), mac: Buffer.from(mac, "hex") };
  const node = createNomqNode({
    transport: await openUdpTransport({ host: "127.0.0.1", port }),
    keys: [{ ...key, dialect: "auto" }],
    channels: [...CHANNELS, ...MARK_CHANNELS],
    limits: { retained: 0 },
    ...(gateway !== undefined && {
      peers: [{ name: GATEWAY, address: { host: "127.0.0.1", port: gateway }, kind: "node" }],
    }),
  });
  node.receive({
    message: async ({ channel, payload }) => {
      got.add(`${channel} ${Buffer.from(payload).toString()}`);
      return { is: "accepted" };
    },
  });
  await node.start();
  return node;
}
