import type { Clock } from "@nomq/core";
import type { IqFailure } from "../link/link.ts";
import type { Asking } from "../nodes/listing.ts";
import { readItem } from "../payload/item.ts";
import { type CaughtUp, readMissed } from "./catch-up.ts";
import type { Gate } from "./gate.ts";
import { type GoneStateUse, ownStateGone } from "./gone-state.ts";
import type { HubState } from "./hub-state.ts";
import { pause } from "./inflow.ts";
import type { Intake } from "./intake.ts";
import { marksOf } from "./marks.ts";
import { withCurrent, withoutMarks } from "./node-memory.ts";
import type { NodeItem } from "./notification.ts";
import { type Place, waitingIds, willEnd } from "./place.ts";

/** What subscribing and catching up need. */
export interface JoiningOptions {
  readonly asking: Asking;
  readonly clock: Clock;
  readonly intake: Intake;
  readonly gateway: string;
  readonly signal: AbortSignal;
  latest: GoneStateUse["latest"];
  readonly hubState: HubState;
  /** Each attempt goes through it: who waits for the next one keeps no place. */
  readonly gate: Gate;
  /** An attempt came to nothing, not for the first time. */
  troubled(node: string, reason: string): void;
  /** Our full JID. */
  jid(): string;
  /** Resolves when what was remembered of nodes so far lasts. */
  written(): Promise<void>;
  /** Its history was too short for what was missed. */
  missed(node: string): void;
  /** Events of others have pushed out a state of ours. */
  evicted(channel: string): void;
}

/** How it ended. */
export type Joined =
  | { readonly is: "joined" }
  /** There is no such node. */
  | { readonly is: "gone" }
  | { readonly is: "refused"; readonly reason: string }
  | { readonly is: "stopped" };

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;

/** Subscribes to a node where that is needed, and takes in what was missed of it. What is told meanwhile waits. */
export async function joinNode(place: Place, options: JoiningOptions): Promise<Joined> {
  const { clock, gate, signal } = options;
  for (let delay = FIRST_DELAY_MS; !signal.aborted; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
    const answer = await gate.run(() => (place.isNew ? joinNew(place, options) : rejoin(place, options)));
    if (answer === undefined) return { is: "joined" };
    if (answer.is === "aborted") return { is: "stopped" };
    if (answer.is === "poison") return { is: "refused", reason: answer.reason };
    if (answer.is === "error" && answer.type !== "wait") {
      if (answer.condition === "item-not-found") return { is: "gone" };
      return { is: "refused", reason: answer.condition };
    }
    if (delay > FIRST_DELAY_MS)
      options.troubled(place.node, answer.is === "error" ? answer.condition : answer.is);
    await pause(clock, delay, signal);
  }
  return { is: "stopped" };
}

/**
 * The first time: what the node held before is not for us, but its state is. What it held is remembered, over any crash,
 * before we subscribe: whatever comes after that is ours, told or not.
 */
async function joinNew(place: Place, options: JoiningOptions): Promise<IqFailure | undefined> {
  const { asking, intake, signal } = options;
  const { memory, node } = place;
  if (!place.isBorn) {
    const found = await readMissed(asking, { node, memory, isNew: true });
    if (found.is === "failed" && !keepsNone(found.answer)) return found.answer;
    const waiting = waitingIds(place);
    if (found.is === "read")
      for (const item of found.events.items) if (!waiting.has(item.id)) intake.skip(place, item);
  }
  place.inflow.pass(place.memory);
  if (!(await lasts(options.written(), signal))) return NOT_NOW;
  place.isNew = false;
  return rejoin(place, options);
}

/** The store could not write, or we are stopping. */
const NOT_NOW: IqFailure = { is: "unanswered" };

/** Resolves when that is written; false where it cannot be, or the signal aborts. */
function lasts(written: Promise<void>, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = (): void => end(false);
    const end = (isDone: boolean): void => {
      signal.removeEventListener("abort", stop);
      resolve(isDone);
    };
    signal.addEventListener("abort", stop);
    written.then(() => end(true), stop);
  });
}

async function rejoin(place: Place, options: JoiningOptions): Promise<IqFailure | undefined> {
  const isSameNode = place.isSubscribed;
  const refused = await subscribe(place, options);
  if (refused !== undefined) return refused;
  const { memory, node } = place;
  const found = await readMissed(options.asking, { node, memory, isNew: false });
  // Deleted before this was read: what was read is another node's, of the same name.
  if (willEnd(place)) return undefined;
  if (found.is === "read") return takeMissed(place, found, { ...options, isSameNode });
  return keepsNone(found.answer) ? undefined : found.answer;
}

async function takeMissed(
  place: Place,
  { current, events, rest }: CaughtUp,
  options: JoiningOptions & Pick<GoneStateUse, "isSameNode">,
): Promise<IqFailure | undefined> {
  const kept = await options.hubState(place.channel);
  // If it was seen before it was not seen last: that was forgotten in a crash.
  if (current !== undefined && kept !== undefined && !isState(current, kept))
    place.memory = withCurrent(place.memory, { print: "", isOwn: false });
  // The state first: an event of the same time may be an answer to it.
  const failed =
    current === undefined ? await stateGone(place, kept, options) : await takeIn(place, current, options);
  if (failed !== undefined) return failed;
  let { isGap } = events;
  if (isGap) options.missed(place.node);
  for (const item of events.items) await takeIn(place, item, options);
  for await (const part of rest ?? []) {
    // Deleted meanwhile: what is read now may be another node's, of the same name.
    if (willEnd(place)) return undefined;
    if (part.is === "failed") return part.answer;
    if (part.events.isGap && !isGap) options.missed(place.node);
    isGap ||= part.events.isGap;
    for (const item of part.events.items) await takeIn(place, item, options);
  }
  const { marked } = place.memory;
  if (marked === undefined) return undefined;
  place.memory = withoutMarks(place.memory);
  place.inflow.pass(place.memory, marksOf(place.node, marked.keys()));
  return undefined;
}

const isState = ({ payload }: NodeItem, kept: Uint8Array): boolean => {
  const found = payload === undefined ? undefined : readItem(payload);
  return found !== undefined && Buffer.compare(found.payload, kept) === 0;
};

/** The node has no state; `kept`: the hub has one from there. */
async function stateGone(
  place: Place,
  kept: Uint8Array | undefined,
  options: JoiningOptions & Pick<GoneStateUse, "isSameNode">,
): Promise<IqFailure | undefined> {
  const { current } = place.memory;
  if (current === undefined && kept === undefined) return undefined;
  const isOwn = kept === undefined && current?.isOwn === true;
  const gone = isOwn ? await ownStateGone(place, options) : ({ is: "retracted" } as const);
  if (gone.is === "failed") return keepsNone(gone.answer) ? undefined : gone.answer;
  if (gone.is === "retracted") {
    await options.intake.clear(place);
    return undefined;
  }
  place.memory = withCurrent(place.memory, undefined);
  place.inflow.pass(place.memory);
  if (gone.is === "evicted") options.evicted(place.channel);
  return undefined;
}

async function takeIn(place: Place, item: NodeItem, { intake }: JoiningOptions): Promise<undefined> {
  await intake.item(place, item, { isHistory: true, mayRepeat: true });
}

async function subscribe(place: Place, { asking, jid }: JoiningOptions): Promise<IqFailure | undefined> {
  if (place.isSubscribed) return undefined;
  const answer = await asking.ask(asking.requests.subscribe(place.node, jid()));
  if (answer.is !== "result") return answer;
  place.isSubscribed = true;
  return undefined;
}

/** A node that keeps no items has nothing to be read, or its service does not tell. */
const keepsNone = (answer: IqFailure): boolean =>
  answer.is === "error" && ["feature-not-implemented", "unsupported"].includes(answer.condition);
