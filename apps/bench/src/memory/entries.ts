import { channelId, encodePacket } from "@nomq/core";
import { settle } from "@nomq/core/testing";
import { type NodeInMemory, startNodeInMemory } from "../node-in-memory.ts";

/** What is weighed. */
export const kinds = ["channel", "peer", "session heard lately", "session silent"] as const;

/** Bytes of one entry. */
export interface Weight {
  readonly bytes: number;
  /** Of an entry with the same key in a `Map`. */
  readonly reference: number;
}

const CHANNEL = "site/line/sensor/temperature";
const MESSAGE = Buffer.from('{"t":21.5}');
const AT_ONCE = 1_000;
const SILENCE_MS = 11 * 60 * 1_000;

// Made of bytes, as the network brings them: a text put together in JavaScript also keeps its parts.
const textOf = (text: string): string => Buffer.from(text).toString("latin1");
const nameOf = (at: number): string => textOf(`site/line${at % 100}/sensor${at}/temperature`);
const hostOf = (at: number): string => textOf(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);

/** Bytes of heap and of buffers outside it that each of `count` entries of a kind takes. */
export async function weigh(kind: string, count: number): Promise<Weight> {
  const plain = new Map<string | number, true>();
  const before = held();
  for (let at = 0; at < count; at += 1) plain.set(keyOf(kind, at), true);
  const reference = (held() - before) / count;
  const started = await startNodeInMemory({
    channels: [CHANNEL],
    // Room for what is weighed.
    limits: { channels: 2 * count, peers: 2 * count, sessions: 2 * count, window: 2 * count },
  });
  await fill(started, { kind, from: 0, to: AT_ONCE });
  const empty = held();
  await fill(started, { kind, from: AT_ONCE, to: AT_ONCE + count });
  const bytes = (held() - empty) / count;
  const { node } = started;
  const { peers, sessions } = node.status().held;
  if (kind === "peer" && peers !== AT_ONCE + count) throw new Error(`${peers} peers were heard`);
  if (kind.startsWith("session") && sessions !== AT_ONCE + count) throw new Error(`${sessions} sessions`);
  await node.stop();
  if (plain.size !== count) throw new Error("the keys of the reference are not apart");
  return { bytes, reference };
}

/** The shortest key that tells entries of the kind apart. */
function keyOf(kind: string, at: number): string | number {
  if (kind === "channel") return nameOf(at);
  return kind === "peer" ? textOf(`${hostOf(at)}:8888`) : at;
}

async function fill(on: NodeInMemory, part: { kind: string; from: number; to: number }): Promise<void> {
  const { kind, from, to } = part;
  for (let at = from; at < to; at += 1) {
    if (kind === "channel") on.node.learn(nameOf(at));
    else on.deliver(datagramOf(on, kind, at), { host: hostOf(kind === "peer" ? at : 0), port: 8888 });
    // Messages handed over and not answered are bounded, and a note is written within a second.
    if (at % AT_ONCE === 0) await on.clock.advance(kind === "session silent" ? 1_000 : 10);
  }
  await on.clock.advance(kind === "session silent" ? SILENCE_MS : 2_000);
  // The notes of many sessions are written in parts, each in a turn of its own.
  await settle(1_000);
}

/** From a session of its own, or all from one. */
function datagramOf({ clock, key }: NodeInMemory, kind: string, at: number): Uint8Array {
  const timestamp = Math.floor(clock.now() / 1_000);
  const packet = {
    type: "PUBLISH",
    flags: 0,
    packetId: at,
    sessionId: 0x1000_0000 + (kind === "peer" ? 0 : at),
    ttl: 3_600,
    timestamp,
    channelId: channelId(CHANNEL),
    nonce: at,
    innerTimestamp: BigInt(timestamp),
    message: MESSAGE,
    layout: 16,
  } as const;
  return encodePacket(packet, key, { dialect: "micropython" });
}

function held(): number {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  for (let times = 0; times < 4; times += 1) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
