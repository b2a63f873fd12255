import { bareJid, filterMatches, isValidFilter } from "@nomq/core";
import { createFinding } from "../nodes/finding.ts";
import type { Asking } from "../nodes/listing.ts";
import { nodeOfChannel } from "../nodes/node-name.ts";
import { requestsTo } from "../nodes/pubsub-request.ts";
import { createTurns } from "../nodes/turns.ts";
import { createEvents, type Events } from "./events.ts";
import { createGate, type Gate } from "./gate.ts";
import { type HubState, hubStateOf } from "./hub-state.ts";
import { createInflow } from "./inflow.ts";
import { createIntake, type Intake } from "./intake.ts";
import { joinNode } from "./joining.ts";
import type { KeptMemories } from "./kept-memories.ts";
import { createLooking, type Looked, type Looking } from "./looking.ts";
import type { NodeMemory } from "./node-memory.ts";
import type { Place, Work } from "./place.ts";
import { createPlaces, type Places } from "./places.ts";
import type { Problems } from "./problems.ts";
import type { ReceivingOptions } from "./receiving.ts";
import { seenEvents } from "./seen-events.ts";
import { createSeenNodes, type SeenNodes } from "./seen-nodes.ts";
import type { SentItems } from "./sent-items.ts";
import type { Tally } from "./tally.ts";

/** What reading nodes needs. */
export interface ReadingOptions extends ReceivingOptions {
  readonly signal: AbortSignal;
  readonly tally: Tally;
  readonly problems: Problems;
  readonly memories: KeptMemories;
  readonly sentItems: SentItems;
}

/** Finds the nodes of the filters, subscribes to them and takes in what lies and comes there. */
export interface Reading {
  readonly events: Events;
  readonly looking: Looking;
  readonly places: Places;
  /** Reads what earlier runs remembered. */
  restore(): Promise<void>;
  /** The channel's node has just been made by us. */
  made(channel: string): void;
}

const MOST_NODES = 10_000;
/** Nodes that are caught up with at a time: most of the window is for publishing. */
const CAUGHT_UP_AT_ONCE = 8;
/** Nodes that are arranged before it is asked how long that has taken. */
const ARRANGED_AT_ONCE = 32;

/** What a reading is made of. */
interface Parts extends ReadingOptions {
  readonly asking: Asking;
  readonly intake: Intake;
  readonly seen: SeenNodes;
  readonly places: Places;
  readonly looking: Looking;
  readonly hubState: HubState;
  readonly gate: Gate;
}

/** Makes it; asks nobody yet. */
export function createReading(options: ReadingOptions): Reading {
  const { link, memories, port, pubsub, signal } = options;
  const asking: Asking = {
    requests: requestsTo(pubsub),
    ask: (iq, timeoutMs) => link.request(iq, { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
  };
  const seen = createSeenNodes(memories);
  const intake = createIntake({
    ...options,
    account: () => bareJid(looking.jid()),
    now: () => port.clock.now(),
  });
  const events = createEvents({ ...options, asking, intake });
  const work = async (place: Place, next: Work): Promise<void> => {
    try {
      if (next.is === "catch-up") await join(parts, place);
      else if (next.is === "gone") await leave(parts, place);
      else if ((await events.take(place, next.event, next.mayRepeat)) === "gone") await leave(parts, place);
    } catch (error) {
      port.log.error("an XMPP notification could not be taken in", {
        ...{ node: place.node.slice(0, 300), error: String(error) },
      });
    }
  };
  const ready = async (): Promise<void> => void (await looking.last());
  const places = createPlaces({
    ...options,
    make: (memory) => makePlace(options, seen, memory),
    work,
    ready,
  });
  const looking = createLooking({
    ...{ finding: findingOf(options, seen), clock: port.clock, signal },
    everyMs: options.findEveryMs ?? 60_000,
    found: (look) => arrange(parts, look),
  });
  const hubState = hubStateOf(port, options.attachment);
  const gate = createGate(CAUGHT_UP_AT_ONCE);
  const parts: Parts = { ...options, hubState, asking, gate, intake, seen, places, looking };
  return {
    ...{ events, looking, places },
    async restore() {
      for (const memory of await seen.restore()) places.add(memory).isNew = false;
    },
    made: (channel) => readMade(parts, channel),
  };
}

const findingOf = (
  { info, link, mostNodes = MOST_NODES, port, pubsub, subscribe }: ReadingOptions,
  seen: SeenNodes,
): ReturnType<typeof createFinding> =>
  createFinding({
    ...{ link, pubsub, log: port.log, filters: subscribe.filter(isValidFilter) },
    channelOf: (node) => seen.get(node)?.channel,
    mostNodes,
    ...(info === undefined ? {} : { info }),
  });

function makePlace(options: ReadingOptions, seen: SeenNodes, memory: NodeMemory): Place {
  const { node, channel } = memory;
  return {
    ...{ node, channel, memory, queue: [] },
    inflow: createInflow({ ...options, settled: seen.settled }),
    ...{
      isNew: true,
      isBorn: false,
      isRemade: false,
      isSubscribed: false,
      isBusy: false,
      catchUps: 0,
      bytes: 0,
      isEnded: false,
    },
  };
}

/** Lets every node that was found be caught up with, and those that are gone be left. */
async function arrange(parts: Parts, look: Looked): Promise<void> {
  const { looking, places, problems, signal } = parts;
  const { found } = look;
  problems.tellAll(found.problems);
  const turn = createTurns(ARRANGED_AT_ONCE);
  for (const [node, channel] of found.wanted) {
    const others = turn();
    if (others !== undefined) await others;
    if (signal.aborted) return;
    arrangeNode(parts, look, { node, channel });
  }
  if (!found.isComplete) return;
  for (const place of [...places.all()]) {
    const others = turn();
    if (others !== undefined) await others;
    if (signal.aborted) return;
    const { isEnded, node } = place;
    if (!isEnded && !found.wanted.has(node) && !looking.isMade(node)) places.push(place, { is: "gone" });
  }
}

function arrangeNode(
  parts: Parts,
  { found, before, isCurrent }: Looked,
  { node, channel }: Pick<Place, "channel" | "node">,
): void {
  const { looking, places } = parts;
  const place = placeOf(parts, node, channel);
  if (place === undefined) return;
  // When all nodes were listed it was not among them.
  if (place.isNew && before?.isComplete === true && !before.wanted.has(node)) place.isBorn = true;
  // Of another session, and of a node that was made since, the subscriptions that were listed say nothing.
  const subscribed = isCurrent() && !looking.isMade(node) ? found.subscribed : undefined;
  const isThere = subscribed?.has(node) ?? place.isSubscribed;
  if (place.isSubscribed && isThere) return;
  place.isSubscribed = isThere;
  if (place.catchUps === 0) places.push(place, { is: "catch-up" });
}

const isAskedFor = ({ subscribe }: Parts, channel: string): boolean =>
  subscribe.some((filter) => filterMatches(filter, channel));

/** The node's place, made where there is none; undefined: there are as many as may be. */
function placeOf(
  { mostNodes = MOST_NODES, places, seen }: Parts,
  node: string,
  channel: string,
): Place | undefined {
  const there = places.get(node);
  // Where more are wanted than may be, others at each look, those that were there first stay.
  if (there === undefined && places.size() >= mostNodes) return undefined;
  const known = seen.get(node);
  const place = there ?? places.add(known ?? { node, channel, events: seenEvents() });
  if (known !== undefined) place.isNew = false;
  return place;
}

/** Lets a node that we have just made be read before any look finds it. */
function readMade(parts: Parts, channel: string): void {
  const { looking, places } = parts;
  const node = nodeOfChannel(channel);
  const place = isAskedFor(parts, channel) ? placeOf(parts, node, channel) : undefined;
  if (place === undefined) return;
  looking.made(node);
  place.isBorn = true;
  place.isRemade = true;
  place.isSubscribed = false;
  places.push(place, { is: "catch-up" });
}

async function join(parts: Parts, place: Place): Promise<void> {
  const { intake, looking, memories, places, port, problems, signal, tally } = parts;
  const found = await looking.last();
  if (signal.aborted) return;
  place.isRemade = false;
  if (found !== undefined && !found.wanted.has(place.node) && !looking.isMade(place.node)) {
    if (found.isComplete) await leave(parts, place);
    return;
  }
  await place.inflow.rest();
  const joined = await joinNode(place, {
    ...{ hubState: parts.hubState, gate: parts.gate, troubled: problems.tell },
    ...{ asking: parts.asking, clock: port.clock, gateway: parts.gateway, intake, signal },
    jid: looking.jid,
    latest: (channel) => port.latest(channel, "*"),
    written: memories.written,
    missed(node) {
      tally.add("gaps");
      problems.missed(node);
    },
    evicted: (channel) => parts.evicted?.(channel),
  });
  problems.tell(place.node, joined.is === "refused" ? joined.reason : undefined);
  if (joined.is === "gone") await leave(parts, place);
  else if (joined.is === "joined") place.inflow.pass(place.memory);
  else if (!place.isSubscribed) places.end(place);
}

/** The node is there no more, or not asked for: so is its state. */
async function leave(parts: Parts, place: Place): Promise<void> {
  const { intake, places, seen, signal, hubState } = parts;
  const { channel, node } = place;
  const { current } = place.memory;
  await place.inflow.rest();
  const isFromHere = (await hubState(channel)) !== undefined;
  if (isFromHere || (current !== undefined && !current.isOwn)) await intake.clear(place);
  await place.inflow.rest();
  // What is not stored is still to be done, by the next run.
  if (signal.aborted) return;
  places.end(place);
  if (isAskedFor(parts, channel)) seen.gone(node, channel);
  else seen.forget(node);
  if (place.isRemade) readMade(parts, channel);
}
