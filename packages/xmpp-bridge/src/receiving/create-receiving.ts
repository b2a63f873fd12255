import { bareJid, type CancelTimer, filterMatches, isValidFilter, type Port } from "@nomq/core";
import type { Link, LinkState } from "../link/link.ts";
import { createFinding, type Found } from "../nodes/finding.ts";
import type { Asking } from "../nodes/listing.ts";
import { channelOfNode } from "../nodes/node-name.ts";
import { requestsTo } from "../nodes/pubsub-request.ts";
import type { Element } from "../stream/element.ts";
import { createEvents } from "./events.ts";
import { createGate } from "./gate.ts";
import { createInflow } from "./inflow.ts";
import { createIntake } from "./intake.ts";
import { type JoiningOptions, joinNode } from "./joining.ts";
import { createKeptMemories } from "./kept-memories.ts";
import { keptStateOf } from "./kept-state.ts";
import type { NodeMemory } from "./node-memory.ts";
import { readNotification } from "./notification.ts";
import type { Place, Work } from "./place.ts";
import { createPlaces } from "./places.ts";
import { createProblems } from "./problems.ts";
import type { Receiving } from "./receiving.ts";
import { createSentItems } from "./sent-items.ts";
import { createTally } from "./tally.ts";

/** What receiving needs. */
export interface ReceivingOptions {
  readonly link: Link;
  readonly port: Port;
  /** The attachment that messages come from. */
  readonly attachment: string;
  /** The address of the pubsub service. */
  readonly pubsub: string;
  /** Channels whose nodes are read. */
  readonly subscribe: readonly string[];
  /** Our own name in items. */
  readonly gateway: string;
  /** How often nodes are looked for. Default 60,000 ms. */
  readonly findEveryMs?: number;
  /** Nodes subscribed at most. Default 10,000. */
  readonly mostNodes?: number;
  /** A node was configured or deleted by somebody: what is known of it as a node of ours may be wrong. */
  changed?(channel: string): void;
}

/** Nodes that are read at a time: most of the window is for publishing. */
const CAUGHT_UP_AT_ONCE = 8;

const GAP =
  "items of an XMPP node are missing: it keeps fewer than were published while the gateway was away (xmpp.history at " +
  "who publishes there, docs/xmpp.md)";

/** Makes {@link Receiving}; does nothing before `start`. */
export function createReceiving(options: ReceivingOptions): Receiving {
  const { attachment, gateway, link, port, pubsub, findEveryMs = 60_000, mostNodes = 10_000 } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const filters = options.subscribe.filter(isValidFilter);
  const tally = createTally();
  const problems = createProblems(port.log);
  const memories = createKeptMemories(port);
  const stateOf = keptStateOf(port, attachment);
  const sentItems = createSentItems(port.clock);
  const gate = createGate(CAUGHT_UP_AT_ONCE);
  const asking: Asking = {
    requests: requestsTo(pubsub),
    ask: (iq, timeoutMs) => link.request(iq, { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
  };
  const intake = createIntake({
    ...{ gateway, pubsub, sentItems, tally },
    account: () => bareJid(own),
    now: () => port.clock.now(),
  });
  const events = createEvents({ ...options, asking, intake, sentItems, tally });
  const finding = createFinding({
    ...{ link, pubsub, log: port.log, filters, mostNodes },
  });
  /** What was seen of nodes, also of those that are not read now. */
  const known = new Map<string, NodeMemory>();
  /** What was last found in this session; nodes are caught up with after its first look. */
  let looked: Promise<Found | undefined> = Promise.resolve(undefined);
  let looking: Promise<void> = Promise.resolve();
  let session = 0;
  let gapToldIn = 0;
  /** Our full JID; of the last session while there is none. */
  let own = "";
  let cancel: CancelTimer = () => undefined;
  const endings: (() => void)[] = [];

  const makePlace = (memory: NodeMemory, isNew: boolean): Place => {
    const { node, channel } = memory;
    const settled = (now: NodeMemory): void => {
      known.set(node, now);
      memories.keep(node, now);
    };
    const inflow = createInflow({ attachment, port, settled, signal, tally });
    const place: Place = {
      ...{ node, channel, inflow, memory, isNew, queue: [] },
      ...{ isSubscribed: false, isBusy: false, catchUps: 0, bytes: 0, isEnded: false },
    };
    return place;
  };
  const work = async (place: Place, next: Work): Promise<void> => {
    try {
      if (next.is === "catch-up") await gate.run(() => join(place));
      else if (next.is === "gone") await leave(place);
      else if ((await events.take(place, next.event, next.mayRepeat)) === "gone") await leave(place);
    } catch (error) {
      port.log.error("an XMPP notification could not be taken in", {
        node: place.node,
        error: String(error),
      });
    }
  };
  const places = createPlaces({ tally, signal, make: makePlace, work });
  const join = async (place: Place): Promise<void> => {
    const found = await looked;
    if (signal.aborted) return;
    if (found !== undefined) {
      if (!found.wanted.has(place.node)) {
        if (found.isComplete) await leave(place);
        return;
      }
    }
    await place.inflow.rest();
    const joined = await joinNode(place, joining);
    problems.tell(place.node, joined.is === "refused" ? joined.reason : undefined);
    if (joined.is === "gone") await leave(place);
    else if (joined.is === "joined") place.inflow.pass(place.memory);
    else if (!place.isSubscribed) places.end(place);
  };
  /** The node is there no more: so is its state. */
  const leave = async (place: Place): Promise<void> => {
    const { current } = place.memory;
    await place.inflow.rest();
    const isFromHere = (await stateOf(place.channel)) !== undefined;
    if (isFromHere || (current !== undefined && !current.isOwn)) await intake.clear(place);
    await place.inflow.rest();
    places.end(place);
    known.delete(place.node);
    memories.keep(place.node, undefined);
  };
  const jid = (): string => own;
  /** Once in each session: a long outage may have left all nodes with gaps. */
  const missed = (node: string): void => {
    tally.add("gaps");
    const level = gapToldIn === session ? "debug" : "warn";
    gapToldIn = session;
    port.log[level](GAP, { node: node.slice(0, 300), gaps: tally.now().gaps });
  };
  const joining: JoiningOptions = {
    ...{ asking, clock: port.clock, intake, signal, stateOf, jid, missed },
    kept: memories.written,
  };
  const look = async (isFirst = false): Promise<Found | undefined> => {
    const current = session;
    if (own === "" || signal.aborted) return undefined;
    const found = await finding.look(own, { signal, isFirst });
    if (current !== session || signal.aborted) return undefined;
    problems.tellAll(found.problems);
    looked = Promise.resolve(found);
    for (const [node, channel] of found.wanted) {
      // Where more are wanted than may be, others at each look, those that were there first stay.
      if (places.get(node) === undefined && places.size() >= mostNodes) continue;
      const place =
        places.get(node) ??
        places.add(known.get(node) ?? { node, channel, events: new Map() }, !known.has(node));
      const isThere = found.subscribed?.has(node) ?? place.isSubscribed;
      if (place.isSubscribed && isThere) continue;
      place.isSubscribed = isThere;
      if (place.catchUps === 0) places.push(place, { is: "catch-up" });
    }
    if (found.isComplete)
      for (const place of places.all()) if (!found.wanted.has(place.node)) places.push(place, { is: "gone" });
    return found;
  };
  const lookAgain = (): void => {
    cancel();
    cancel = port.clock.after(findEveryMs, () => {
      looking = looking.then(async () => void (await look())).finally(lookAgain);
    });
  };
  const onState = (state: LinkState): void => {
    if (state.is !== "online" || state.resumed) return;
    session += 1;
    own = state.jid;
    const first = Promise.withResolvers<Found | undefined>();
    looked = first.promise;
    // Before anything of this session is told: what comes waits behind what was missed.
    for (const place of places.all()) {
      place.isSubscribed = false;
      places.push(place, { is: "catch-up" });
    }
    looking = looking
      .then(async () => first.resolve(await look(true)))
      .finally(() => first.resolve(undefined));
    lookAgain();
  };
  const onStanza = (stanza: Element): void => {
    const told = readNotification(stanza, pubsub);
    if (told.is === "other-source") tally.add("otherSource");
    if (told.is !== "events") return;
    for (const event of told.events) {
      const place = places.get(event.node);
      if (event.is === "delete" || event.is === "configuration") events.configured(event.node);
      if (place === undefined) tally.add("unwanted");
      else places.push(place, { is: "event", event, mayRepeat: place.catchUps > 0 });
    }
  };

  return {
    async restore() {
      for (const memory of (await memories.restore()).values()) {
        known.set(memory.node, memory);
        places.add(memory, false);
      }
    },
    start() {
      if (options.subscribe.length === 0) return;
      endings.push(link.onState(onState), link.onStanza(onStanza));
      onState(link.state());
    },
    sent(item) {
      if (mayBeRead(item.node, filters)) sentItems.sent(item);
    },
    problems: problems.now,
    counts: () => ({
      ...tally.now(),
      subscribed: [...places.all()].filter(({ isSubscribed }) => isSubscribed).length,
      waiting: places.waiting(),
    }),
    async [Symbol.asyncDispose]() {
      for (const end of endings.splice(0)) end();
      stopping.abort();
      cancel();
      await looking;
      cancel();
      await places.rest();
      await memories[Symbol.asyncDispose]();
    },
  };
}

/** Whether notifications of a node may come. Of a node named by a hash nobody knows here. */
function mayBeRead(node: string, filters: readonly string[]): boolean {
  const channel = channelOfNode(node);
  if (channel === undefined || channel === "title") return filters.length > 0;
  return filters.some((filter) => filterMatches(filter, channel));
}
