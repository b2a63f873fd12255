import type { Clock } from "@nomq/core";
import type { Asking } from "../nodes/listing.ts";
import { readItem } from "../payload/item.ts";
import { type CaughtUp, type NoItems, readCurrent, readMissed } from "./catch-up.ts";
import { pause } from "./inflow.ts";
import type { Intake } from "./intake.ts";
import type { KeptState } from "./kept-state.ts";
import { withCurrent } from "./node-memory.ts";
import type { NodeItem } from "./notification.ts";
import { type Place, waitingIds } from "./place.ts";

/** What subscribing and catching up need. */
export interface JoiningOptions {
  readonly asking: Asking;
  readonly clock: Clock;
  readonly intake: Intake;
  readonly signal: AbortSignal;
  /** Our full JID. */
  jid(): string;
  /** Resolves once all that is remembered would outlast a crash. */
  kept(): Promise<void>;
  readonly stateOf: KeptState;
  /** Items between those seen last and those that are there are gone. */
  missed(node: string): void;
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
  const { clock, signal } = options;
  for (let delay = FIRST_DELAY_MS; !signal.aborted; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
    const answer = await (place.isNew ? joinNew(place, options) : rejoin(place, options));
    if (answer === undefined) return { is: "joined" };
    if (answer.is === "aborted") return { is: "stopped" };
    if (answer.is === "poison") return { is: "refused", reason: answer.reason };
    if (answer.is === "error" && answer.type !== "wait") {
      if (answer.condition === "item-not-found") return { is: "gone" };
      return { is: "refused", reason: answer.condition };
    }
    await pause(clock, delay, signal);
  }
  return { is: "stopped" };
}

/**
 * The first time: what the node held before is not for us, but its state is. It is read before we subscribe, so that the
 * event some servers send with the subscription is known to be old.
 */
async function joinNew(place: Place, options: JoiningOptions): Promise<NoItems | undefined> {
  const { asking, intake } = options;
  const { memory, node } = place;
  const found = await readMissed(asking, { node, memory, isNew: true });
  if (found.is === "failed" && !keepsNone(found.answer)) return found.answer;
  const waiting = waitingIds(place);
  if (found.is === "read")
    for (const item of found.events.items) if (!waiting.has(item.id)) intake.skip(place, item);
  // What comes from now on must not be taken for old after a crash.
  place.inflow.pass(place.memory);
  await options.kept();
  const wasSubscribed = place.isSubscribed;
  const refused = await subscribe(place, options);
  if (refused !== undefined) return refused;
  const current = wasSubscribed
    ? found.is === "read"
      ? found.current
      : undefined
    : await readCurrent(asking, node);
  if (current !== undefined && "is" in current && !keepsNone(current)) return current;
  place.isNew = false;
  if (current !== undefined && !("is" in current)) await takeIn(place, current, options);
  return undefined;
}

async function rejoin(place: Place, options: JoiningOptions): Promise<NoItems | undefined> {
  const refused = await subscribe(place, options);
  if (refused !== undefined) return refused;
  const { memory, node } = place;
  const found = await readMissed(options.asking, { node, memory, isNew: false });
  if (found.is === "read") await takeMissed(place, found, options);
  else if (!keepsNone(found.answer)) return found.answer;
  return undefined;
}

async function takeMissed(
  place: Place,
  { current, events }: CaughtUp,
  options: JoiningOptions,
): Promise<void> {
  const { intake, missed, stateOf } = options;
  const had = place.memory.current;
  const kept = await stateOf(place.channel);
  if (events.isGap) missed(place.node);
  // The state first: an event of the same time may be an answer to it.
  if (current !== undefined) {
    // Seen before, but not last: that was forgotten in a crash.
    if (kept !== undefined && !isState(current, kept)) place.memory = withCurrent(place.memory, undefined);
    await takeIn(place, current, options);
  } else if (kept !== undefined || (had !== undefined && !had.isOwn)) await intake.clear(place);
  for (const item of events.items) await takeIn(place, item, options);
}

const isState = ({ payload }: NodeItem, kept: Uint8Array): boolean => {
  const found = payload === undefined ? undefined : readItem(payload);
  return found !== undefined && Buffer.compare(found.payload, kept) === 0;
};

const takeIn = (place: Place, item: NodeItem, { intake }: JoiningOptions): Promise<void> =>
  intake.item(place, item, { isHistory: true, mayRepeat: true });

async function subscribe(place: Place, { asking, jid }: JoiningOptions): Promise<NoItems | undefined> {
  if (place.isSubscribed) return undefined;
  const answer = await asking.ask(asking.requests.subscribe(place.node, jid()));
  if (answer.is !== "result") return answer;
  place.isSubscribed = true;
  return undefined;
}

/** A node that keeps no items has nothing to be read, or its service does not tell. */
const keepsNone = (answer: NoItems): boolean =>
  answer.is === "error" && ["feature-not-implemented", "unsupported"].includes(answer.condition);
