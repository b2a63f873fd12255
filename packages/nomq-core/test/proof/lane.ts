import type { Clock, Endpoint, NodePublishOptions, NomqNode, PublishOutcome, Qos } from "../../src/index.ts";
import type { Prng } from "../../src/testing/index.ts";
import { text } from "../node/node-room.ts";
import { pause } from "./faults.ts";

/** A message of a proof and all that was said of it. */
export interface Sent {
  /** Unlike every other's; its payload begins with it. */
  readonly id: string;
  readonly channel: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly priority: number;
  readonly ttl: number | undefined;
  readonly payload: Uint8Array;
  readonly outcomes: PublishOutcome[];
}

/** One publisher's messages on one channel. */
export interface Lane {
  readonly clock: Clock;
  readonly node: NomqNode;
  readonly to: string | Endpoint;
  readonly channel: string;
  readonly count: number;
  readonly random: Prng;
  /** What it publishes. Default: any QoS, a quarter with a time to live. */
  readonly qos?: readonly Qos[];
  readonly largest?: number;
  /** The longest pause between two messages, milliseconds. */
  readonly pauseMs: number;
  readonly name: string;
  /** A message that went unanswered: how it is tried again. Default: QoS 2 goes on, QoS 1 begins anew. */
  readonly again?: "continue" | "never";
}

const MOST_TRIES = 40;

/** Publishes one after the other's outcome, as whoever wants order does; `busy` waits, `unanswered` tries again. */
export async function runLane(lane: Lane, sent: Sent[]): Promise<void> {
  for (let at = 0; at < lane.count; at += 1) {
    const one = drawMessage(lane, at);
    sent.push(one);
    await publishUntilSettled(lane, one);
    if (lane.random.chance(0.6)) await pause(lane.clock, lane.random.between(0, lane.pauseMs));
  }
}

/** Publishes all at once, more than may be open; refused ones wait their turn. */
export async function runBurst(lane: Lane, sent: Sent[]): Promise<void> {
  const all = Array.from({ length: lane.count }, (_, at) => drawMessage(lane, at));
  sent.push(...all);
  await Promise.all(all.map((one) => publishUntilSettled(lane, one)));
}

/** The last word on a message. */
export function lastOf(sent: Sent): PublishOutcome {
  const last = sent.outcomes.at(-1);
  if (last === undefined) throw new Error(`${sent.id} has no outcome`);
  return last;
}

function drawMessage(
  { random, name, channel, qos: kinds = [0, 1, 2], largest = 900 }: Lane,
  at: number,
): Sent {
  const id = `${name}/${channel}#${at}`;
  const room = Math.max(0, largest - id.length - 1);
  const filler = "x".repeat(random.chance(0.1) ? room : random.between(0, Math.min(40, room)));
  return {
    id,
    channel,
    qos: kinds[random.between(0, kinds.length - 1)] ?? 0,
    retain: random.chance(0.2),
    priority: random.between(0, 15),
    ttl: random.chance(0.25) ? random.between(0, 20) : undefined,
    payload: text(`${id} ${filler}`),
    outcomes: [],
  };
}

async function publishUntilSettled(lane: Lane, sent: Sent): Promise<void> {
  for (let unanswered = 0; unanswered < MOST_TRIES; ) {
    const outcome = await lane.node.publish(sent.channel, sent.payload, optionsOf(lane, sent));
    sent.outcomes.push(outcome);
    const isBusy = outcome.is === "refused" && outcome.reason === "busy";
    const isUnanswered = outcome.is === "unanswered" && lane.again !== "never";
    if (!isBusy && !isUnanswered) return;
    if (isUnanswered) unanswered += 1;
    await pause(lane.clock, isBusy ? lane.random.between(200, 1000) : 10_000);
  }
  throw new Error(`${sent.id} was never settled: ${JSON.stringify(lastOf(sent))}`);
}

function optionsOf(lane: Lane, { qos, retain, priority, ttl, outcomes }: Sent): NodePublishOptions {
  const before = outcomes.findLast(({ is }) => is === "unanswered");
  const goesOn = before !== undefined && (qos === 2 || lane.again === "continue");
  return {
    to: lane.to,
    qos,
    retain,
    priority,
    ...(ttl === undefined ? {} : { ttl }),
    ...(goesOn ? { packetId: before.packetId, sessionId: before.sessionId } : {}),
  };
}
