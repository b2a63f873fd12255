import { type Attachment, isValidFilter, type Message, type Port } from "@nomq/core";
import type { Counters } from "./counters.ts";
import { createLink } from "./link/create-link.ts";
import type { Link } from "./link/link.ts";
import { createNodes } from "./nodes/create-nodes.ts";
import { nodeOfChannel } from "./nodes/node-name.ts";
import type { Nodes } from "./nodes/nodes.ts";
import { requestsTo } from "./nodes/pubsub-request.ts";
import { createServiceInfo } from "./nodes/service-info.ts";
import type { XmppSettings } from "./options.ts";
import { MAX_PAYLOAD_BYTES } from "./payload/item.ts";
import { createExpiries, type Expiries } from "./publishing/expiries.ts";
import { createKnownNodes } from "./publishing/known-nodes.ts";
import { createProblemNodes, type ProblemNodes } from "./publishing/problem-nodes.ts";
import { createPublisher, type Publisher } from "./publishing/publisher.ts";
import { createRecentStates, type RecentStates } from "./publishing/recent-states.ts";
import { retractExpired } from "./publishing/retract-expired.ts";
import type { PublisherEvents } from "./publishing/sending.ts";
import { createReceiving } from "./receiving/create-receiving.ts";
import type { Receiving, SentItem } from "./receiving/receiving.ts";
import { restoreOwn } from "./remembered.ts";

/** Requests sent and not answered: more only waits longer (measured on both servers). */
const WINDOW = 32;

/** What the bridge is made of between `attach` and `stop`. */
export interface Parts {
  readonly port: Port;
  readonly link: Link;
  readonly nodes: Nodes;
  readonly attachment: Attachment;
  readonly publisher: Publisher;
  readonly receiving: Receiving;
  readonly expiries: Expiries;
  /** Nodes whose items the service refuses. */
  readonly refusing: ProblemNodes;
  readonly recent: RecentStates;
}

/** What the bridge hands to its parts. */
export interface AssembleUse {
  readonly settings: XmppSettings;
  readonly counters: Counters;
  /** Something that the status says may have changed. */
  readonly changed: () => void;
  /** A request was answered by somebody else than the service. */
  readonly noService: (reason: string) => void;
}

/** Makes the parts, restores what earlier runs wrote down and claims the peer, paused. Opens no socket. */
export async function assemble(port: Port, use: AssembleUse): Promise<Parts> {
  const { settings, counters } = use;
  const { access, findEvery, pubsub, history, outbox, publish, subscribe } = settings;
  const { clock, log } = port;
  const name = `xmpp:${pubsub}`;
  const known = createKnownNodes();
  const sent = (item: SentItem): void => receiving.sent(item);
  const expiries: Expiries = createExpiries({
    clock,
    retract: (item) => retractExpired({ link, pubsub, counters, log, sent }, item),
    remember: (changes) => port.remember(changes),
    overflow: () => counters.count("unexpired"),
  });
  const gateway = await restoreOwn(port, expiries);
  const link = createLink({ ...settings, resource: `nomq-${gateway}`, window: WINDOW, clock, log });
  const rebuilt = (channel: string): void => {
    known.stateGone(channel);
    if (isValidFilter(channel)) attachment.repair([channel]);
  };
  const made = (channel: string): void => receiving.made(channel);
  const info = createServiceInfo({ link, requests: requestsTo(pubsub) });
  const nodes = createNodes({ link, pubsub, info, clock, log, history, access, made, rebuilt });
  const own = { link, port, pubsub, gateway };
  const receiving: Receiving = createReceiving({
    ...{ ...own, info, subscribe, attachment: name, changed: nodes.forget },
    ...{ evicted: rebuilt, findEveryMs: findEvery },
  });
  await receiving.restore();
  const refusing = createProblemNodes(() => clock.now());
  const recent = createRecentStates(clock);
  const tell = teller(port, { refusing, recent }, use);
  const publisher = createPublisher({ ...own, nodes, known, expiries, sent, tell });
  const attachment = await port.attach({
    ...{ name, as: "*", filters: publish, durable: true, retained: "deliver" },
    ...{ window: WINDOW, ordered: true, maxPayload: MAX_PAYLOAD_BYTES, deliver: publisher.deliver },
    // Items say which gateway they are of: what comes back is told by that.
    echoes: false,
    ...(outbox === undefined ? {} : { outbox }),
  });
  attachment.pause("not started");
  return { port, link, nodes, attachment, publisher, receiving, expiries, refusing, recent };
}

/** Counts what publishing tells, and says in the log what an operator must know. */
function teller(
  { log }: Port,
  { refusing, recent }: Pick<Parts, "refusing" | "recent">,
  use: AssembleUse,
): PublisherEvents {
  const { counters, changed, noService } = use;
  const refuse = (channel: string, reason: string): void => {
    // What is wrong with one message says nothing of its node.
    const isOfNode = !reason.startsWith("poison") && reason !== "too-large";
    if (isOfNode && refusing.refused(channel, reason)) {
      const node = nodeOfChannel(channel).slice(0, 300);
      log.warn("the XMPP service refuses what is published on a node", { node, reason });
    }
    changed();
  };
  return {
    noService,
    taken({ channel, retain }) {
      counters.count("taken");
      if (retain) recent.taken(channel);
      if (refusing.taken(channel)) changed();
    },
    refused(channel, reason) {
      counters.add("refused", reason);
      refuse(channel, reason);
    },
    poison: ({ id, channel, origin }: Message, reason) =>
      log.error("the XMPP stream died of a message, twice: it is not sent again", {
        ...{ id, origin, reason },
        channel: channel.slice(0, 300),
      }),
    again: (reason) => counters.add("again", reason),
    unheard(channel, reason, isRefused) {
      counters.add("unheard", reason);
      if (isRefused) refuse(channel, reason);
    },
    unchanged: () => counters.count("unchanged"),
    renewed: () => counters.count("renewed"),
  };
}
