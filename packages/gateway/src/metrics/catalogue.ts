import type { AttachmentState } from "@nomq/core";
import { ATTACHMENTS_AT_MOST, byAttachment, STREAMS } from "./attachments.ts";
import { COAP_METRICS } from "./coap-metrics.ts";
import type { Metric, Sample } from "./exposition.ts";
import type { Facts } from "./facts.ts";
import { GATEWAY_METRICS } from "./gateway-metrics.ts";
import { byReason, of, one, outcomesOf } from "./samples.ts";
import { XMPP_METRICS } from "./xmpp-metrics.ts";

const eachOf = (facts: Facts, value: (state: AttachmentState) => number): readonly Sample[] =>
  byAttachment(facts.attachments, (state) => [[[], value(state)]]);

/** The rows of all that are attached, and of the streams that were. */
const rowsOf = ({ attachments, streamsEnded }: Facts): readonly Row[] => [
  ...attachments,
  { name: STREAMS, ledger: streamsEnded },
];

type Row = Pick<AttachmentState, "name" | "ledger">;

/** What becomes of messages: the names of docs/metrics.md that others rely on. */
const MESSAGES: readonly Metric<Facts>[] = [
  {
    name: "nomq_accepted_total",
    type: "counter",
    help: "Messages that entered an attachment's outbox",
    labels: ["attachment"],
    read: (facts) => byAttachment(rowsOf(facts), ({ ledger }) => [[[], ledger.accepted]]),
  },
  {
    name: "nomq_outcomes_total",
    type: "counter",
    help: "Messages that came to an end at an attachment; reason is given for dropped",
    labels: ["attachment", "outcome", "reason"],
    read: (facts) => byAttachment(rowsOf(facts), ({ ledger }) => outcomesOf(ledger)),
  },
  {
    name: "nomq_pending",
    type: "gauge",
    help: "Messages that wait at an attachment",
    labels: ["attachment"],
    read: (facts) => byAttachment(rowsOf(facts), ({ ledger }) => [[[], ledger.pending]]),
  },
  {
    name: "nomq_ingress_refused_total",
    type: "counter",
    help: "Messages refused on arrival",
    labels: ["protocol", "reason"],
    read: ({ nomq, mqtt, coap, xmpp, http }) => [
      ...of("nomq", nomq?.refused),
      ...of("mqtt", mqtt?.messagesRefused),
      ...of("coap", coap?.messagesRefused),
      ...of("xmpp", xmpp?.messagesRefused),
      ...of("http", http.refused),
    ],
  },
  {
    name: "nomq_packets_rejected_total",
    type: "counter",
    help: "NoMQ datagrams dropped",
    labels: ["reason"],
    read: ({ nomq }) => byReason(nomq?.rejected),
  },
  {
    name: "nomq_mapping_lost_total",
    type: "counter",
    help: "Properties of messages that could not be kept between two protocols",
    labels: ["from", "to", "property"],
    // An item of XMPP carries all that a message has.
    read: ({ nomq, mqtt, coap }) =>
      [nomq, mqtt, coap]
        .flatMap((side) => side?.lost ?? [])
        .map(({ from, to, property, count }) => [[from, to, property], count]),
  },
];

const ATTACHMENTS: readonly Metric<Facts>[] = [
  {
    name: "nomq_attachment_active",
    type: "gauge",
    help: "1 while messages may go to an attachment, 0 while it is paused or unclaimed",
    labels: ["attachment"],
    read: (facts) => eachOf(facts, ({ state }) => (state === "active" ? 1 : 0)),
  },
  {
    name: "nomq_attachment_still_seconds",
    type: "gauge",
    help: "How long messages have waited at an attachment that may get them and takes none",
    labels: ["attachment"],
    read: (facts) =>
      eachOf(facts, ({ progress: { stillSince } }) =>
        stillSince === undefined ? 0 : Math.max(0, facts.now - stillSince) / 1_000,
      ),
  },
  {
    name: "nomq_attachments",
    type: "gauge",
    help: `Attachments by state; metrics name at most ${ATTACHMENTS_AT_MOST} of them, the rest together as (other)`,
    labels: ["state"],
    read: ({ attachments }) => attachments.map(({ state }): Sample => [[state], 1]),
  },
];

const NOMQ: readonly Metric<Facts>[] = [
  {
    name: "nomq_packets_accepted_total",
    type: "counter",
    help: "NoMQ datagrams taken",
    labels: [],
    read: ({ nomq }) => (nomq === undefined ? [] : one(nomq.accepted)),
  },
  {
    name: "nomq_packets_sent_total",
    type: "counter",
    help: "NoMQ datagrams sent",
    labels: [],
    read: ({ nomq }) => (nomq === undefined ? [] : one(nomq.sent)),
  },
  {
    name: "nomq_device_online",
    type: "gauge",
    help: `1 while a NoMQ peer with an attachment is there; at most ${ATTACHMENTS_AT_MOST} are named`,
    labels: ["attachment"],
    read: ({ devices }) =>
      devices
        .slice(0, ATTACHMENTS_AT_MOST)
        .map(({ attachment, state }): Sample => [[attachment], state === "online" ? 1 : 0]),
  },
  {
    name: "nomq_devices",
    type: "gauge",
    help: "NoMQ peers with an attachment, online and offline",
    labels: ["state"],
    read: ({ nomq }) => byReason(nomq === undefined ? {} : { ...nomq.devices }),
  },
  {
    name: "nomq_unknown_channels",
    type: "gauge",
    help: "NoMQ channels without a name, at most 256",
    labels: [],
    read: ({ nomq }) => (nomq === undefined ? [] : one(nomq.unknownChannels.length)),
  },
  {
    name: "nomq_unknown_clocks",
    type: "gauge",
    help: "NoMQ devices whose clock no rule accepts, at most 256",
    labels: [],
    read: ({ nomq }) => (nomq === undefined ? [] : one(nomq.unknownClocks.length)),
  },
  {
    name: "nomq_held",
    type: "gauge",
    help: "Entries of the NoMQ node's tables: peers, sessions, transfers",
    labels: ["what"],
    read: ({ nomq }) => byReason(nomq === undefined ? {} : { ...nomq.held }),
  },
  {
    name: "nomq_time_requests_total",
    type: "counter",
    help: "Requests to the time service",
    labels: ["outcome"],
    read: ({ nomq }) => byReason(nomq?.time === undefined ? {} : { ...nomq.time }),
  },
];

const MQTT: readonly Metric<Facts>[] = [
  {
    name: "nomq_mqtt_clients_refused_total",
    type: "counter",
    help: "MQTT connections turned away",
    labels: ["reason"],
    read: ({ mqtt }) => byReason(mqtt?.clientsRefused),
  },
  {
    name: "nomq_mqtt_messages_dropped_total",
    type: "counter",
    help: "Messages to MQTT sessions that were dropped",
    labels: ["reason"],
    read: ({ mqtt }) => byReason(mqtt?.messagesDropped),
  },
  {
    name: "nomq_mqtt_connections_cut_total",
    type: "counter",
    help: "MQTT connections that the broker ended",
    labels: ["reason"],
    read: ({ mqtt }) => byReason(mqtt?.connectionsCut),
  },
  {
    name: "nomq_mqtt_sessions_accepted_total",
    type: "counter",
    help: "Messages at QoS 1 and 2 kept for MQTT sessions that outlive their connection, over restarts",
    labels: [],
    read: ({ mqtt }) => (mqtt === undefined ? [] : one(mqtt.sessions.accepted)),
  },
  {
    name: "nomq_mqtt_sessions_outcomes_total",
    type: "counter",
    help: "What became of them; reason is given for dropped",
    labels: ["outcome", "reason"],
    read: ({ mqtt }) => (mqtt === undefined ? [] : outcomesOf(mqtt.sessions)),
  },
  {
    name: "nomq_mqtt_sessions_pending",
    type: "gauge",
    help: "Messages that wait for such sessions",
    labels: [],
    read: ({ mqtt }) => (mqtt === undefined ? [] : one(mqtt.sessions.pending)),
  },
  {
    name: "nomq_mqtt_slow_clients",
    type: "gauge",
    help: "MQTT clients that are connected and take nothing",
    labels: [],
    read: ({ mqtt }) => (mqtt === undefined ? [] : one(mqtt.slowClients)),
  },
  {
    name: "nomq_mqtt_slow_client_seconds",
    type: "gauge",
    help: "For how long an MQTT client has taken nothing; the longest, at most 100",
    labels: ["client", "reason"],
    read: ({ slowClients, now }) =>
      slowClients.map(({ client, reason, since }) => [[client, reason], Math.max(0, now - since) / 1_000]),
  },
];

/** Every metric of `/metrics`, in the order of docs/metrics.md. */
export const METRICS: readonly Metric<Facts>[] = [
  ...MESSAGES,
  ...ATTACHMENTS,
  ...NOMQ,
  ...MQTT,
  ...COAP_METRICS,
  ...XMPP_METRICS,
  ...GATEWAY_METRICS,
];
