import type { CoapCounts } from "@nomq/coap-bridge";
import type { Metric, Sample } from "./exposition.ts";
import type { Facts } from "./facts.ts";
import { byReason, one } from "./samples.ts";

const maybe = <Part>(part: Part | undefined, value: (part: Part) => number): readonly Sample[] =>
  part === undefined ? [] : one(value(part));

/** What happens to datagrams and requests before a method is looked at. */
const MESSAGES: readonly Metric<Facts>[] = [
  {
    name: "nomq_coap_clients_refused_total",
    type: "counter",
    help: "CoAP requests of clients that are not let in (4.01)",
    labels: ["reason"],
    read: ({ coap }) => byReason(coap?.clientsRefused),
  },
  {
    name: "nomq_coap_reads_refused_total",
    type: "counter",
    help: "GETs that were refused; a channel without a value is no refusal",
    labels: ["reason"],
    read: ({ coap }) => byReason(coap?.readsRefused),
  },
  {
    name: "nomq_coap_datagrams_turned_away_total",
    type: "counter",
    help: "CoAP datagrams of which nothing was executed",
    labels: ["reason"],
    read: ({ coap }) => turnedAway(coap?.messaging),
  },
  {
    name: "nomq_coap_duplicates_total",
    type: "counter",
    help: "Requests that had come before: answered again, not executed again",
    labels: [],
    read: ({ coap }) => maybe(coap?.messaging, ({ duplicates }) => duplicates),
  },
  {
    name: "nomq_coap_repeated_total",
    type: "counter",
    help: "Confirmable messages of ours that were sent again",
    labels: [],
    read: ({ coap }) => maybe(coap?.messaging, ({ repeated }) => repeated),
  },
  {
    name: "nomq_coap_timeouts_total",
    type: "counter",
    help: "Confirmable messages of ours that nobody acknowledged",
    labels: [],
    read: ({ coap }) => maybe(coap?.messaging, ({ timeouts }) => timeouts),
  },
  {
    name: "nomq_coap_remotes",
    type: "gauge",
    help: "CoAP endpoints remembered",
    labels: [],
    read: ({ coap }) => maybe(coap?.messaging, ({ remotes }) => remotes),
  },
  {
    name: "nomq_coap_uploads",
    type: "gauge",
    help: "Bodies that come block by block, under way",
    labels: [],
    read: ({ coap }) => maybe(coap?.blocks, ({ uploads }) => uploads),
  },
  {
    name: "nomq_coap_upload_bytes",
    type: "gauge",
    help: "Bytes that they hold",
    labels: [],
    read: ({ coap }) => maybe(coap?.blocks, ({ uploadBytes }) => uploadBytes),
  },
  {
    name: "nomq_coap_uploads_lost_total",
    type: "counter",
    help: "Bodies that were not completed",
    labels: ["reason"],
    read: ({ coap }) => byReason(coap?.blocks?.uploadsLost),
  },
];

function turnedAway(messaging: CoapCounts["messaging"]): readonly Sample[] {
  if (messaging === undefined) return [];
  const { malformed, dropped, badOptions, limited, challenged } = messaging;
  return byReason({ malformed, dropped, "bad-option": badOptions, limited, challenged });
}

const OBSERVERS: readonly Metric<Facts>[] = [
  {
    name: "nomq_coap_observers",
    type: "gauge",
    help: "Relations of CoAP observers",
    labels: [],
    read: ({ coap }) => maybe(coap?.observers, ({ observers }) => observers),
  },
  {
    name: "nomq_coap_observations_ended_total",
    type: "counter",
    help: "Relations that ended",
    labels: ["reason"],
    read: ({ coap }) => byReason(coap?.observers?.ended),
  },
  {
    name: "nomq_coap_notifications_accepted_total",
    type: "counter",
    help: "Messages to be told, once for every observer of their channel",
    labels: [],
    read: ({ coap }) => maybe(coap?.observers, ({ ledger }) => ledger.accepted),
  },
  {
    name: "nomq_coap_notifications_outcomes_total",
    type: "counter",
    help: "What became of them: coalesced where a newer one took their place; reason is given for dropped",
    labels: ["outcome", "reason"],
    read: ({ coap }) => notificationsOf(coap?.observers?.ledger),
  },
  {
    name: "nomq_coap_notifications_pending",
    type: "gauge",
    help: "Those that wait",
    labels: [],
    read: ({ coap }) => maybe(coap?.observers, ({ ledger }) => ledger.pending),
  },
];

type ObserverLedger = NonNullable<CoapCounts["observers"]>["ledger"];

function notificationsOf(ledger: ObserverLedger | undefined): readonly Sample[] {
  if (ledger === undefined) return [];
  const { delivered, coalesced, expired, dropped } = ledger;
  return [
    [["delivered", ""], delivered],
    [["coalesced", ""], coalesced],
    [["expired", ""], expired],
    ...byReason(dropped).map(([labels, count]): Sample => [["dropped", ...labels], count]),
  ];
}

const CLIENT: readonly Metric<Facts>[] = [
  {
    name: "nomq_coap_sensors",
    type: "gauge",
    help: "Configured CoAP sensors by state: waiting, fresh, stale, gone",
    labels: ["state"],
    read: ({ coap }) => byReason(coap?.client.sensors),
  },
  {
    name: "nomq_coap_sensor_values_total",
    type: "counter",
    help: "Values of sensors handed to the hub",
    labels: [],
    read: ({ coap }) => maybe(coap?.client, ({ values }) => values),
  },
  {
    name: "nomq_coap_client_refused_total",
    type: "counter",
    help: "Datagrams, answers and values of other servers that were not taken",
    labels: ["reason"],
    read: ({ coap }) => byReason(coap?.client.refused),
  },
  {
    name: "nomq_coap_writes_total",
    type: "counter",
    help: "Writes to actuators",
    labels: ["outcome"],
    read: ({ coap }) => byReason(coap?.client.writes),
  },
];

/** Metrics of the CoAP side. */
export const COAP_METRICS: readonly Metric<Facts>[] = [...MESSAGES, ...OBSERVERS, ...CLIENT];
