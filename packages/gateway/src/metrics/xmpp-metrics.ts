import type { XmppCounts } from "@nomq/xmpp-bridge";
import type { Metric, Sample } from "./exposition.ts";
import type { Facts } from "./facts.ts";
import { byReason, one } from "./samples.ts";

type Link = NonNullable<XmppCounts["link"]>;
type Nodes = NonNullable<XmppCounts["nodes"]>;
type Receiving = NonNullable<XmppCounts["receiving"]>;
type Publishing = XmppCounts["publishing"];

/** Parts are there once the bridge is attached. */
const maybe =
  <Part>(part: (xmpp: XmppCounts) => Part | undefined, samples: (part: Part) => readonly Sample[]) =>
  ({ xmpp }: Facts): readonly Sample[] => {
    const found = xmpp && part(xmpp);
    return found === undefined ? [] : samples(found);
  };
const ofLink = (value: (link: Link) => number) =>
  maybe(
    ({ link }) => link,
    (link) => one(value(link)),
  );
const ofPublishing = (value: (publishing: Publishing) => number) =>
  maybe(
    ({ publishing }) => publishing,
    (publishing) => one(value(publishing)),
  );
const ofReceiving = (value: (receiving: Receiving) => number) =>
  maybe(
    ({ receiving }) => receiving,
    (receiving) => one(value(receiving)),
  );

const LINK: readonly Metric<Facts>[] = [
  {
    name: "nomq_xmpp_connection_attempts_total",
    type: "counter",
    help: "Attempts to connect to the XMPP server",
    labels: [],
    read: ofLink(({ attempts }) => attempts),
  },
  {
    name: "nomq_xmpp_sessions_total",
    type: "counter",
    help: "XMPP sessions begun",
    labels: [],
    read: ofLink(({ sessions }) => sessions),
  },
  {
    name: "nomq_xmpp_resumptions_total",
    type: "counter",
    help: "XMPP sessions that went on over a new connection",
    labels: [],
    read: ofLink(({ resumptions }) => resumptions),
  },
  {
    name: "nomq_xmpp_requests",
    type: "gauge",
    help: "Requests to the XMPP server: open (sent, not answered) and waiting",
    labels: ["state"],
    read: maybe(
      ({ link }) => link,
      ({ open, waiting }) => byReason({ open, waiting }),
    ),
  },
  {
    name: "nomq_xmpp_requests_repeated_total",
    type: "counter",
    help: "Requests sent again in a new session",
    labels: [],
    read: ofLink(({ replayed }) => replayed),
  },
  {
    name: "nomq_xmpp_requests_unanswered_total",
    type: "counter",
    help: "Requests that nobody answered in time",
    labels: [],
    read: ofLink(({ unanswered }) => unanswered),
  },
  {
    name: "nomq_xmpp_requests_poisoned_total",
    type: "counter",
    help: "Requests of which the stream died, or would have, and that are not sent again",
    labels: [],
    read: ofLink(({ poisoned }) => poisoned),
  },
  {
    name: "nomq_xmpp_limited_answers_per_second",
    type: "gauge",
    help: "Answers a second of a server found to limit the rate; absent without such a limit",
    labels: [],
    read: maybe(
      ({ link }) => link?.slow,
      ({ answersPerSecond }) => one(answersPerSecond),
    ),
  },
];

const PUBLISHING: readonly Metric<Facts>[] = [
  {
    name: "nomq_xmpp_items_taken_total",
    type: "counter",
    help: "Items that the pubsub service has taken, and states cleared there",
    labels: [],
    read: ofPublishing(({ taken }) => taken),
  },
  {
    name: "nomq_xmpp_items_refused_total",
    type: "counter",
    help: "Messages that it refused for good, by its condition",
    labels: ["reason"],
    read: ({ xmpp }) => byReason(xmpp?.publishing.refused),
  },
  {
    name: "nomq_xmpp_items_again_total",
    type: "counter",
    help: "Messages that have to be sent again",
    labels: ["reason"],
    read: ({ xmpp }) => byReason(xmpp?.publishing.again),
  },
  {
    name: "nomq_xmpp_items_unheard_total",
    type: "counter",
    help: "Messages at QoS 0, of which nobody waits for the answer, that were not taken",
    labels: ["reason"],
    read: ({ xmpp }) => byReason(xmpp?.publishing.unheard),
  },
  {
    name: "nomq_xmpp_states_unchanged_total",
    type: "counter",
    help: "States that lay at the service already",
    labels: [],
    read: ofPublishing(({ unchanged }) => unchanged),
  },
  {
    name: "nomq_xmpp_states_renewed_total",
    type: "counter",
    help: "States published again before events could push them out",
    labels: [],
    read: ofPublishing(({ renewed }) => renewed),
  },
  {
    name: "nomq_xmpp_items_expired_total",
    type: "counter",
    help: "Items taken back because their time was over",
    labels: [],
    read: ofPublishing(({ expired }) => expired),
  },
  {
    name: "nomq_xmpp_items_expiring",
    type: "gauge",
    help: "Items that will be taken back when their time is over",
    labels: [],
    read: ofPublishing(({ expiring }) => expiring),
  },
  {
    name: "nomq_xmpp_items_unexpired_total",
    type: "counter",
    help: "Items that will not be taken back: too many are planned, or the service refuses",
    labels: [],
    read: ofPublishing(({ unexpired }) => unexpired),
  },
  {
    name: "nomq_xmpp_nodes",
    type: "gauge",
    help: "Nodes of channels, known to be ready",
    labels: [],
    read: maybe(
      ({ nodes }) => nodes,
      ({ known }) => one(known),
    ),
  },
  {
    name: "nomq_xmpp_nodes_prepared_total",
    type: "counter",
    help: "Nodes that had to be made or set up: created, configured, rebuilt after they were gone, or failed",
    labels: ["outcome"],
    read: maybe(
      ({ nodes }) => nodes,
      ({ known: _, ...changes }: Nodes) => byReason({ ...changes }),
    ),
  },
];

const RECEIVING: readonly Metric<Facts>[] = [
  {
    name: "nomq_xmpp_nodes_subscribed",
    type: "gauge",
    help: "Nodes that are subscribed",
    labels: [],
    read: ofReceiving(({ subscribed }) => subscribed),
  },
  {
    name: "nomq_xmpp_notifications_waiting",
    type: "gauge",
    help: "Notifications that wait for the hub",
    labels: [],
    read: ofReceiving(({ waiting }) => waiting),
  },
  {
    name: "nomq_xmpp_notifications_overflowed_total",
    type: "counter",
    help: "Notifications put aside because the hub was slower, to be read from the node's history",
    labels: [],
    read: ofReceiving(({ overflowed }) => overflowed),
  },
  {
    name: "nomq_xmpp_items_received_total",
    type: "counter",
    help: "Items that came in notifications and histories",
    labels: [],
    read: ofReceiving(({ received }) => received),
  },
  {
    name: "nomq_xmpp_items_outcomes_total",
    type: "counter",
    help: "What became of what came: published, a state cleared, or why not; refused by the hub is counted apart",
    labels: ["outcome"],
    read: maybe(({ receiving }) => receiving, outcomesIn),
  },
  {
    name: "nomq_xmpp_items_caught_up_total",
    type: "counter",
    help: "Items published that were found in histories after an outage",
    labels: [],
    read: ofReceiving(({ caughtUp }) => caughtUp),
  },
  {
    name: "nomq_xmpp_gaps_total",
    type: "counter",
    help: "Outages longer than a node's history: items of it may be missing",
    labels: [],
    read: ofReceiving(({ gaps }) => gaps),
  },
  {
    name: "nomq_xmpp_notifications_ignored_total",
    type: "counter",
    help: "Notifications that are no news: not from the service, stored while the gateway was away (their items are read), of other nodes or for another session of the account, evictions, configurations",
    labels: ["reason"],
    read: maybe(({ receiving }) => receiving, ignoredIn),
  },
];

function outcomesIn(receiving: Receiving): readonly Sample[] {
  const { published, cleared, echoes, duplicates, expired, malformed } = receiving;
  return byReason({ published, cleared, echo: echoes, duplicate: duplicates, expired, malformed });
}

function ignoredIn({ otherSource, stored, unwanted, evicted, configurations }: Receiving): readonly Sample[] {
  return byReason({
    "other-source": otherSource,
    stored,
    unwanted,
    evicted,
    configuration: configurations,
  });
}

/** Metrics of the XMPP side. */
export const XMPP_METRICS: readonly Metric<Facts>[] = [...LINK, ...PUBLISHING, ...RECEIVING];
