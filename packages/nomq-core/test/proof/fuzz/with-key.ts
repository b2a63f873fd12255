import { TYPE } from "../../../src/testing/v1-state.ts";
import { v1ChannelId } from "../../../src/testing/v1-wire.ts";
import { type Draft, publishPlain, seal } from "./sealing.ts";
import {
  anyone,
  CHANNEL,
  CHANNEL_ID,
  fresh,
  type Ground,
  junkOf,
  MARK,
  type Maker,
  NAME_MARK,
  type OpenSession,
  type OpenTransfer,
  pick,
  type Shot,
  sealed,
} from "./shots.ts";

// What a holder of the key can send, true peers and attackers alike.

const NO_CHANNEL = new Uint8Array(16);
/** Open QoS 2 transfers stay in the node's table, however small. */
const MOST_UNRELEASED = 64;
const UNKNOWN_CHANNELS = Array.from({ length: 400 }, (_, at) => v1ChannelId(`unnamed/${at}`));

/** The head of a packet as the session would send it now. */
function headOf(ground: Ground, session: OpenSession): Omit<Draft, "type" | "flags" | "plain"> {
  const timestamp = ground.seconds() + session.offset;
  session.newest = Math.max(session.newest, timestamp);
  return { packetId: fresh(ground), sessionId: session.id, timestamp, channelId: CHANNEL_ID };
}

function messageOf(ground: Ground): Uint8Array {
  const { random } = ground;
  return junkOf(ground, random.chance(0.01) ? random.between(0, 2000) : random.between(0, 40));
}

const freshPublish: Maker = (ground) => {
  if (ground.unreleased.length > MOST_UNRELEASED) return released(ground);
  const session = pick(ground.random, ground.sessions);
  const flags = ground.random.between(0, 15) * 16 + ground.random.between(0, 7) + (session.marked ? MARK : 0);
  const qos = flags & 3;
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const draft: Draft = { type: TYPE.publish, flags, ...headOf(ground, session), plain };
  if (qos === 1 && ground.transfers.length < 512)
    ground.transfers.push({ session, draft, second: ground.seconds() });
  if (qos === 2 && session.marked) ground.unreleased.push({ session, draft, second: ground.seconds() });
  const answers = qos === 1 || qos === 2 ? 1 : 0;
  return { datagram: sealed(ground, draft), from: session.from, expect: "accepted", answers, handed: true };
};

/** The first that the application has answered: what came this second may still be with it. */
function takeSettled(ground: Ground, from: OpenTransfer[]): OpenTransfer | undefined {
  const [oldest] = from;
  return oldest === undefined || oldest.second >= ground.seconds() ? undefined : from.shift();
}

/** The end of a QoS 2 message of a node. Each has one, or the node's table would fill with them. */
const released: Maker = (ground) => {
  const oldest = takeSettled(ground, ground.unreleased);
  if (oldest === undefined) return freshControl(ground);
  const { session, draft } = oldest;
  const { packetId } = draft;
  const head = { ...headOf(ground, session), packetId };
  const datagram = sealed(ground, { type: TYPE.pubrel, flags: MARK, ...head, plain: junkOf(ground, 4) });
  return { datagram, from: session.from, expect: "accepted", answers: 1 };
};

/** A transfer's message again under its packet id, sealed anew: answered, not handed over. */
const retransmission: Maker = (ground) => {
  const oldest = takeSettled(ground, ground.transfers);
  if (oldest === undefined) return freshPublish(ground);
  const { session, draft } = oldest;
  const { packetId } = draft;
  const plain = publishPlain(fresh(ground), draft.plain.subarray(16));
  const again = { ...draft, ...headOf(ground, session), packetId, plain };
  return { datagram: sealed(ground, again), from: session.from, expect: "accepted", answers: 1, again: true };
};

/** Every other type, with whatever flags, about transfers that nobody has. */
const freshControl: Maker = (ground) => {
  const { random } = ground;
  const session = pick(random, ground.sessions);
  const type = pick(random, [
    TYPE.ack,
    TYPE.pubrec,
    TYPE.pubcomp,
    TYPE.pubrel,
    TYPE.heartbeat,
    TYPE.heartbeat,
  ]);
  const head = headOf(ground, session);
  const flags = (random.between(0, 255) & ~MARK) | (session.marked ? MARK : 0);
  const isProbe = type === TYPE.heartbeat && random.chance(0.5);
  const channelId = type === TYPE.heartbeat && !isProbe ? NO_CHANNEL : CHANNEL_ID;
  const plain = type === TYPE.heartbeat ? new Uint8Array(0) : junkOf(ground, 4);
  // A node must not wait for ever for what we have forgotten; a device never asks.
  const isAnswered = isProbe || (type === TYPE.pubrel && session.marked);
  const datagram = sealed(ground, { type, flags, ...head, channelId, plain });
  return { datagram, from: session.from, expect: "accepted", answers: isAnswered ? 1 : 0 };
};

const freshName: Maker = (ground) => {
  const { random } = ground;
  const session = pick(random, ground.sessions);
  const flags = (random.between(0, 255) & ~NAME_MARK) | (session.marked ? NAME_MARK : 0);
  const type = pick(random, [TYPE.subscribe, TYPE.unsubscribe]);
  const draft = { type, flags, ...headOf(ground, session), plain: Buffer.from(CHANNEL) };
  return { datagram: sealed(ground, draft), from: session.from, expect: "accepted" };
};

/** Names that are no channel names get no subscription, and nothing of them is learnt. */
const nastyName: Maker = (ground) => {
  const session = pick(ground.random, ground.sessions);
  const name = pick(ground.random, ["", "#", "a/+/b", "a/\u0000/b", "$SYS/x", "x".repeat(65_536), "+"]);
  const flags = session.marked ? NAME_MARK : 0;
  const head = { ...headOf(ground, session), channelId: v1ChannelId(name) };
  const plain = Buffer.from(name).subarray(0, 60_000);
  if (plain.length !== Buffer.byteLength(name)) head.channelId = v1ChannelId(plain.toString());
  const datagram = seal({ type: TYPE.subscribe, flags, ...head, plain }, ground.key, ground.random);
  // So long a name is a channel name: whether it is taken depends on the room for names, which there is none of.
  return { datagram, from: session.from, expect: "limited" };
};

/** Right MAC, wrong inside. */
const nastyPlaintext: Maker = (ground) => {
  const { random } = ground;
  const session = pick(random, ground.sessions);
  const head = { ...headOf(ground, session), flags: random.between(0, 255) };
  const draft = pick(random, NASTY)(ground);
  const datagram = seal({ ...head, ...draft }, ground.key, random);
  return { datagram, from: random.chance(0.5) ? session.from : anyone(ground), expect: "malformed" };
};

type Nasty = Pick<Draft, "type" | "plain" | "padded"> & Partial<Pick<Draft, "channelId">>;

const NASTY: readonly ((ground: Ground) => Nasty)[] = [
  ({ random }) => ({
    type: random.between(1, 8),
    plain: badPadding(pick(random, [0, 17, 255])),
    padded: true,
  }),
  ({ random }) => ({ type: random.between(1, 8), plain: brokenPadding(random.between(2, 16)), padded: true }),
  (ground) => ({ type: TYPE.publish, plain: junkOf(ground, ground.random.between(0, 15)) }),
  (ground) => ({ type: TYPE.publish, plain: publishPlain(1, Buffer.alloc(40), lieFor(ground)) }),
  ({ random }) => ({ type: TYPE.subscribe, plain: pick(random, BROKEN_TEXTS) }),
  ({ random }) => ({ type: TYPE.unsubscribe, plain: pick(random, BROKEN_TEXTS) }),
  ({ random }) => ({
    type: pick(random, [TYPE.subscribe, TYPE.unsubscribe]),
    plain: Buffer.from("another/name"),
  }),
  (ground) => ({
    type: pick(ground.random, ACKNOWLEDGEMENTS),
    plain: junkOf(ground, pick(ground.random, [0, 3, 5, 8])),
  }),
  (ground) => ({ type: TYPE.heartbeat, plain: junkOf(ground, ground.random.between(1, 40)) }),
];

const ACKNOWLEDGEMENTS = [TYPE.ack, TYPE.pubrec, TYPE.pubrel, TYPE.pubcomp];
const BROKEN_TEXTS = ["ff", "c080", "eda080", "f8888080", "612fc3"].map((hex) => Buffer.from(hex, "hex"));

/** Anything but the two lengths that leave 16 or 20 bytes before the message. */
function lieFor({ random }: Ground): number {
  return pick(random, [
    0,
    39,
    41,
    35,
    37,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x8000_0000 + random.between(0, 40),
  ]);
}

function badPadding(count: number): Buffer {
  return Buffer.alloc(32, count);
}

function brokenPadding(count: number): Buffer {
  const padded = Buffer.alloc(32, count);
  padded[32 - count] = count ^ 0x10;
  return padded;
}

const replayed: Maker = (ground) => {
  const datagram = pick(ground.random, ground.seen);
  return { datagram, from: anyone(ground), expect: "replay" };
};

/** A stamp of an open session: too old to tell from a replay, or off its clock. */
const wrongStamp: Maker = (ground) => {
  const { random } = ground;
  const session = pick(random, ground.sessions);
  const now = ground.seconds() + session.offset;
  const stamp = pick(random, [
    now + random.between(31, 100_000),
    session.newest - random.between(60, 100_000),
    0xffff_ffff,
    0,
  ]);
  const draft = { type: TYPE.publish, flags: 1, ...headOf(ground, { ...session }), timestamp: stamp };
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const datagram = seal({ ...draft, plain }, ground.key, random);
  return { datagram, from: session.from, expect: stamp <= session.newest - 60 ? "replay" : "stale" };
};

/** A stamp just within 30 s of its session's clock, or just beyond. */
const edgeStamp: Maker = (ground) => {
  const session = pick(ground.random, ground.sessions);
  const head = headOf(ground, { ...session });
  const off = pick(ground.random, [-30, -29, 29, 30, -31, -32, -45, 31, 32, 40, 90, 290]);
  const timestamp = head.timestamp + off;
  const isOld = timestamp <= session.newest - 60;
  const isOff = Math.abs(off) > 30;
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const draft: Draft = { type: TYPE.publish, ...head, flags: session.marked ? MARK : 0, timestamp, plain };
  if (isOld || isOff) {
    const datagram = seal(draft, ground.key, ground.random);
    return { datagram, from: session.from, expect: isOld ? "replay" : "stale" };
  }
  session.newest = Math.max(session.newest, timestamp);
  return { datagram: sealed(ground, draft), from: session.from, expect: "accepted", handed: true };
};

/** A first packet whose clock fits no epoch in any time zone. */
const oddClock: Maker = (ground) => {
  const { random } = ground;
  // Half of them are in the time zones that are accepted, a little beside a quarter-hour.
  const quarters = 900 * (random.chance(0.5) ? random.between(-48, 55) : random.between(-100_000, 100_000));
  const timestamp = Math.min(Math.max(ground.seconds() + quarters + random.between(31, 869), 0), 0xffff_ffff);
  const head = { packetId: fresh(ground), sessionId: fresh(ground), timestamp, channelId: CHANNEL_ID };
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const datagram = seal({ type: TYPE.publish, flags: 1, ...head, plain }, ground.key, random);
  return { datagram, from: anyone(ground), expect: "clock-unknown" };
};

const unknownChannel: Maker = (ground) => {
  const { random } = ground;
  const session = pick(random, ground.sessions);
  const head = { ...headOf(ground, session), channelId: pick(random, UNKNOWN_CHANNELS) };
  const flags = random.between(0, 7) + (session.marked ? MARK : 0);
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const datagram = seal({ type: TYPE.publish, flags, ...head, plain }, ground.key, random);
  return { datagram, from: session.from, expect: "unknown-channel" };
};

const ownPacket: Maker = (ground) => {
  const { random } = ground;
  const head = { packetId: fresh(ground), sessionId: ground.ownSession(), channelId: CHANNEL_ID };
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const draft = {
    type: TYPE.publish,
    flags: MARK | random.between(0, 7),
    ...head,
    timestamp: ground.seconds(),
    plain,
  };
  return { datagram: seal(draft, ground.key, random), from: anyone(ground), expect: "own" };
};

/** A node's broadcast for those that count from 2000. */
const broadcastForOthers: Maker = (ground): Shot => {
  const session = pick(ground.random, ground.sessions);
  const head = { ...headOf(ground, { ...session }), packetId: 0, timestamp: ground.seconds() - 946_684_800 };
  const plain = publishPlain(fresh(ground), messageOf(ground));
  const datagram = seal({ type: TYPE.publish, flags: MARK, ...head, plain }, ground.key, ground.random);
  return { datagram, from: anyone(ground), expect: "stale" };
};

/** Each as often as it stands here. */
export const WITH_KEY: readonly Maker[] = [
  ...[freshPublish, freshPublish, freshPublish, freshPublish, released, retransmission],
  ...[freshControl, freshControl, freshName, nastyName, nastyPlaintext, nastyPlaintext, nastyPlaintext],
  ...[replayed, replayed, replayed, replayed, wrongStamp, wrongStamp, edgeStamp],
  ...[oddClock, unknownChannel, ownPacket, broadcastForOthers],
];
