import { channelId, type Endpoint, encodePacket, publishFlags, type Qos, withMark } from "@nomq/core";
import { type NodeInMemory, startNodeInMemory } from "../node-in-memory.ts";

/** What the node does with one packet. */
export type Work = "receive QoS 0" | "receive QoS 1 and answer" | "send to a peer" | "send to a subscriber";

/** A node among known channels and peers that were all heard. */
export interface Crowd {
  /** Does one round, a minute of the node's time; resolves with microseconds of processor time per packet. */
  run(work: Work): Promise<number>;
}

const SECONDS = 60;
const PER_SECOND = 100;
/** Where a packet's session id stands (docs/protocol.md section 2). */
const SESSION_AT = 9;
const MESSAGE = Buffer.from('{"t":21.5}');
const FIRST_SESSION = 0x1000_0000;
// Primes, so that each turn meets another channel and another peer, far from the last.
const CHANNEL_STEP = 104_729;
const PEER_STEP = 7_919;

/** Everything that stands before the first round. */
interface Standing extends NodeInMemory {
  readonly names: readonly string[];
  readonly addresses: readonly Endpoint[];
  /** A datagram by which the first peer asks for the first channel. */
  subscribe(): Uint8Array;
  /** The datagrams of one second from now on: each from another peer, on another channel. */
  datagrams(qos: Qos, second: number): readonly Uint8Array[];
}

/** Makes the node and lets every peer be heard once. */
export async function createCrowd(size: { channels: number; peers: number }): Promise<Crowd> {
  const standing = await stand(size);
  await greet(standing);
  return { run: (work) => (work.startsWith("receive") ? receive(standing, work) : send(standing, work)) };
}

async function stand({ channels, peers }: { channels: number; peers: number }): Promise<Standing> {
  const names = Array.from({ length: channels }, (_, at) => `site/line${at % 100}/sensor${at}/temperature`);
  const addresses = Array.from({ length: peers }, (_, at) => ({
    host: `10.7.${at >> 8}.${at & 255}`,
    port: 8888,
  }));
  // The limits of a gateway.
  const limits = { channels: 1_000_000, pending: 65_536 };
  const started = await startNodeInMemory({ channels: names, limits });
  const sealed = { ...started, names, addresses };
  return { ...sealed, datagrams: publisher(sealed), subscribe: () => ask(sealed) };
}

type Sealed = Pick<Standing, "clock" | "key" | "names" | "addresses">;

function ask({ key, clock, names }: Sealed): Uint8Array {
  const channel = at(names, 0);
  const packet = {
    type: "SUBSCRIBE",
    flags: withMark("SUBSCRIBE", 0),
    packetId: 1,
    sessionId: FIRST_SESSION,
    ttl: 3_600,
    timestamp: Math.floor(clock.now() / 1_000),
    channelId: channelId(channel),
    channel,
  } as const;
  return encodePacket(packet, key, { dialect: "micropython" });
}

function publisher(of: Sealed): Standing["datagrams"] {
  const ids = of.names.map(channelId);
  let turn = 0;
  return (qos, second) => {
    const timestamp = Math.floor(of.clock.now() / 1_000) + second;
    return Array.from({ length: PER_SECOND }, () => {
      turn += 1;
      const packet = {
        type: "PUBLISH",
        flags: withMark("PUBLISH", publishFlags({ qos, retain: false, priority: 0 })),
        packetId: turn,
        sessionId: FIRST_SESSION + ((turn * PEER_STEP) % of.addresses.length),
        ttl: 3_600,
        timestamp,
        channelId: at(ids, turn * CHANNEL_STEP),
        nonce: turn,
        innerTimestamp: BigInt(timestamp),
        message: MESSAGE,
        layout: 16,
      } as const;
      return encodePacket(packet, of.key, { dialect: "micropython" });
    });
  };
}

/** Every peer is heard; one subscribes to one channel. */
async function greet(standing: Standing): Promise<void> {
  const { node, clock, addresses } = standing;
  let heard = 0;
  while (heard < addresses.length) {
    for (const datagram of standing.datagrams(0, 0)) standing.deliver(datagram, senderOf(standing, datagram));
    heard += PER_SECOND;
    // Messages handed over and not answered are bounded.
    await clock.advance(0);
  }
  if (node.status().held.peers !== addresses.length) throw new Error("a peer of the benchmark was not heard");
}

/** The peer's number is in its session id, bytes 9 to 12 of a packet. */
function senderOf({ addresses }: Standing, datagram: Uint8Array): Endpoint {
  return at(
    addresses,
    Buffer.from(datagram.buffer, datagram.byteOffset).readUInt32BE(SESSION_AT) - FIRST_SESSION,
  );
}

async function receive(standing: Standing, work: Work): Promise<number> {
  const { node, clock } = standing;
  const qos = work === "receive QoS 0" ? 0 : 1;
  const before = node.status().accepted;
  const seconds = Array.from({ length: SECONDS }, (_, second) =>
    standing.datagrams(qos, second).map((datagram) => ({ datagram, from: senderOf(standing, datagram) })),
  );
  const began = process.cpuUsage();
  for (const second of seconds) {
    for (const { datagram, from } of second) standing.deliver(datagram, from);
    await clock.advance(1_000);
  }
  const micros = microsPerPacket(began);
  const taken = node.status().accepted - before;
  if (taken !== SECONDS * PER_SECOND) throw new Error(`only ${taken} packets of the benchmark were taken`);
  return micros;
}

async function send(standing: Standing, work: Work): Promise<number> {
  const { node, clock, names, addresses } = standing;
  // It ends when it is not said again.
  standing.deliver(standing.subscribe(), at(addresses, 0));
  const before = node.status().sent;
  const began = process.cpuUsage();
  for (let second = 0; second < SECONDS; second += 1) {
    for (let one = 0; one < PER_SECOND; one += 1) {
      const turn = second * PER_SECOND + one;
      if (work === "send to a peer") {
        const to = at(addresses, turn * PEER_STEP);
        void node.publish(at(names, turn * CHANNEL_STEP), MESSAGE, { to });
      } else void node.publish(at(names, 0), MESSAGE);
    }
    await clock.advance(1_000);
  }
  const micros = microsPerPacket(began);
  if (node.status().sent - before < SECONDS * PER_SECOND)
    throw new Error("a packet of the benchmark was not sent");
  return micros;
}

function microsPerPacket(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / (SECONDS * PER_SECOND);
}

function at<T>(list: readonly T[], turn: number): T {
  const value = list[turn % list.length];
  if (value === undefined) throw new Error("nothing to measure");
  return value;
}
