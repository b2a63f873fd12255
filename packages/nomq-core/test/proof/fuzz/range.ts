import type { Endpoint, NodeStatus, Rejection } from "../../../src/index.ts";
import { noRejections } from "../../../src/node/receiving/rejections.ts";
import { createPrng } from "../../../src/testing/index.ts";
import { TYPE } from "../../../src/testing/v1-state.ts";
import { vectorKey } from "../../vectors.ts";
import { seededBytes } from "../faults.ts";
import { publishPlain, seal } from "./sealing.ts";
import { CHANNEL_ID, fresh, type Ground, MARK, type OpenSession, pick, type Shot } from "./shots.ts";
import { WITH_KEY } from "./with-key.ts";
import { WITHOUT_KEY } from "./without-key.ts";

/** What is shot at. */
export interface Target {
  readonly ownSession: () => number;
  readonly seconds: () => number;
}

/** Counts of what must come of the shots so far. */
export interface Expected {
  readonly counts: Record<Rejection | "accepted", number>;
  answers: number;
  handed: number;
}

/** Shots in the order of one seed, each with what must become of it. */
export interface Range {
  /** What opens every session; to be shot first. */
  readonly openers: readonly Shot[];
  next(): Shot;
  readonly ground: Ground;
}

const EPOCH_2000 = -946_684_800;
const OFFSETS = [0, 0, 0, 5, -20, 3600, -12 * 3600] as const;
/** Our nodes, which set the mark, never count from 2000. */
const DEVICE_OFFSETS = [...OFFSETS, EPOCH_2000, EPOCH_2000 + 12_600] as const;
const JUNK_BYTES = 1 << 20;
/** Without a key it costs the attacker less, so more of it comes. */
const WITH_KEY_SHARE = 0.3;

/** Makes the range of one seed. `froms` are the addresses that sessions have, one each. */
export function createRange(target: Target, options: { seed: number; froms: readonly Endpoint[] }): Range {
  const random = createPrng(options.seed);
  const junk = new Uint8Array(JUNK_BYTES);
  seededBytes(options.seed)(junk);
  const { encryption, mac } = vectorKey();
  const sessions = options.froms.map(
    (from, at): OpenSession => ({
      id: random.between(1, 0xffff_ffff),
      offset: pick(random, at % 2 === 0 ? OFFSETS : DEVICE_OFFSETS),
      from,
      marked: at % 2 === 0,
      newest: 0,
    }),
  );
  const ground: Ground = {
    ...target,
    random,
    junk,
    sessions,
    key: { encryption, mac },
    stranger: { encryption: mac, mac: encryption },
    seen: [],
    transfers: [],
    unreleased: [],
    next: random.between(1, 0xffff),
  };
  const openers = sessions.map((session) => openerOf(ground, session));
  return {
    ground,
    openers,
    next: () => pick(random, random.chance(WITH_KEY_SHARE) ? WITH_KEY : WITHOUT_KEY)(ground),
  };
}

function openerOf(ground: Ground, session: OpenSession): Shot {
  const timestamp = ground.seconds() + session.offset;
  session.newest = timestamp;
  const head = { packetId: fresh(ground), sessionId: session.id, timestamp, channelId: CHANNEL_ID };
  const plain = publishPlain(fresh(ground), new Uint8Array(3));
  const flags = session.marked ? MARK : 0;
  const datagram = seal({ type: TYPE.publish, flags, ...head, plain }, ground.key, ground.random);
  ground.seen.push(datagram);
  return { datagram, from: session.from, expect: "accepted", handed: true };
}

export function nothingExpected(): Expected {
  return { counts: { accepted: 0, ...noRejections() }, answers: 0, handed: 0 };
}

/** Adds a shot to what is expected. */
export function expectAlso(expected: Expected, { expect, answers = 0, handed = false }: Shot): void {
  expected.counts[expect] += 1;
  expected.answers += answers;
  if (handed) expected.handed += 1;
}

/** A node's counts in the same form. */
export function countsOf({ accepted, rejected }: NodeStatus): Expected["counts"] {
  return { accepted, ...rejected };
}

/** All datagrams a node has counted. */
export function totalOf(counts: Expected["counts"]): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
