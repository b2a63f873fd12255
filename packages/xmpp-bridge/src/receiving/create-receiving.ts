import type { LinkState } from "../link/link.ts";
import type { Element } from "../stream/element.ts";
import { createKeptMemories } from "./kept-memories.ts";
import { readNotification } from "./notification.ts";
import { createProblems } from "./problems.ts";
import { createReading } from "./reading.ts";
import type { Receiving, ReceivingOptions } from "./receiving.ts";
import { createSentItems } from "./sent-items.ts";
import { createTally } from "./tally.ts";

/** Makes {@link Receiving}; does nothing before `start`. */
export function createReceiving(options: ReceivingOptions): Receiving {
  const { link, port } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const tally = createTally();
  const problems = createProblems(port);
  const memories = createKeptMemories(port);
  const sentItems = createSentItems(port.clock);
  const reading = createReading({ ...options, signal, tally, problems, memories, sentItems });
  const { events, looking, places } = reading;
  /** The session that was begun last and never resumed: nothing of it can have been kept by a server. */
  let unbroken: { readonly domain: string } | undefined;
  const endings: (() => void)[] = [];

  const onState = (state: LinkState): void => {
    if (state.is !== "online") return;
    unbroken = state.resumed ? undefined : { domain: domainOf(state.jid) };
    if (state.resumed) return;
    problems.begin();
    // Before nodes are caught up with: that waits for what is found in this session.
    looking.begin(state.jid);
    // Before anything of this session is told: what comes waits behind what was missed.
    for (const place of places.all()) {
      place.isSubscribed = false;
      places.push(place, { is: "catch-up" });
    }
  };
  const onStanza = (stanza: Element): void => {
    const told = readNotification(stanza, options.pubsub);
    if (told.is === "other-source") tally.add("otherSource");
    if (told.is !== "events") return;
    // What the account's server kept is from before the session: it is read from the nodes, where it has its order.
    if (unbroken !== undefined && told.keptBy === unbroken.domain) {
      tally.add("stored", told.events.length);
      return;
    }
    if (isOfAnother(stanza.attrs["to"], looking.jid())) {
      tally.add("unwanted", told.events.length);
      return;
    }
    for (const event of told.events) {
      const place = places.get(event.node);
      if (event.is === "delete" || event.is === "configuration") events.configured(event.node);
      if (place === undefined) tally.add("unwanted");
      else places.push(place, { is: "event", event, mayRepeat: place.catchUps > 0 });
    }
  };

  return {
    restore: reading.restore,
    start() {
      if (options.subscribe.length === 0) return;
      endings.push(link.onState(onState), link.onStanza(onStanza));
      onState(link.state());
    },
    sent(item) {
      // Who subscribes to nothing is told nothing.
      if (options.subscribe.length > 0) sentItems.sent(item);
    },
    made: reading.made,
    problems: problems.now,
    counts: () => ({
      ...tally.now(),
      subscribed: [...places.all()].filter(({ isSubscribed }) => isSubscribed).length,
      waiting: places.waiting(),
    }),
    async [Symbol.asyncDispose]() {
      for (const end of endings.splice(0)) end();
      stopping.abort();
      await looking.end();
      await places.rest();
      await memories[Symbol.asyncDispose]();
    },
  };
}

/**
 * Whether a message is for another session of our account: one that has lost its data folder left its subscriptions at the
 * service, and what is for a session that is not there servers hand to one that is. We hear of it by our own subscription.
 */
function isOfAnother(to: string | undefined, own: string): boolean {
  const resource = resourceOf(to);
  return resource !== undefined && own !== "" && resource !== resourceOf(own);
}

const resourceOf = (jid: string | undefined): string | undefined => /\/(.+)$/s.exec(jid ?? "")?.[1];

const domainOf = (jid: string): string => /^(?:[^@/]*@)?([^/]*)/.exec(jid)?.[1]?.toLowerCase() ?? "";
