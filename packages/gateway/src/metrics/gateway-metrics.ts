import type { Metric, Sample } from "./exposition.ts";
import type { Facts } from "./facts.ts";
import { byReason, one } from "./samples.ts";

const yesOrNo = (is: boolean): readonly Sample[] => one(is ? 1 : 0);

const HTTP: readonly Metric<Facts>[] = [
  {
    name: "nomq_http_answers_total",
    type: "counter",
    help: "Answers of the HTTP listeners",
    labels: ["status"],
    read: ({ http }) => byReason(http.answers),
  },
  {
    name: "nomq_http_turned_away_total",
    type: "counter",
    help: "HTTP requests that were not looked at",
    labels: ["reason"],
    read: ({ http }) => byReason(http.turnedAway),
  },
  {
    name: "nomq_http_streams",
    type: "gauge",
    help: "Streams of messages and receipts that are open",
    labels: [],
    read: ({ http }) => one(http.streams),
  },
];

const STORE: readonly Metric<Facts>[] = [
  {
    name: "nomq_store_full",
    type: "gauge",
    help: "1 while no message is stored for want of room",
    labels: [],
    read: ({ store }) => yesOrNo(store.state === "full"),
  },
  {
    name: "nomq_store_damaged_total",
    type: "counter",
    help: "Values of the store found damaged and put aside since the start",
    labels: [],
    read: ({ store }) => one(store.damaged),
  },
  {
    name: "nomq_store_waiting",
    type: "gauge",
    help: "Publishes and changes that wait for a commit",
    labels: [],
    read: ({ store }) => one(store.waiting),
  },
  {
    name: "nomq_store_still_seconds",
    type: "gauge",
    help: "How long the same commit has been open",
    labels: [],
    read: ({ store, now }) =>
      one(store.stillSince === undefined ? 0 : Math.max(0, now - store.stillSince) / 1_000),
  },
];

const STATES = ["starting", "ready", "degraded", "reconnecting", "closed"] as const;

const REST: readonly Metric<Facts>[] = [
  {
    name: "nomq_ready",
    type: "gauge",
    help: "1 where /healthz answers 200",
    labels: [],
    read: ({ ready }) => yesOrNo(ready),
  },
  {
    name: "nomq_bridge_state",
    type: "gauge",
    help: "1 for the state that a bridge is in, 0 for the others",
    labels: ["bridge", "state"],
    read: ({ bridges }) =>
      Object.entries(bridges).flatMap(([name, { state }]) =>
        STATES.map((each): Sample => [[name, each], each === state ? 1 : 0]),
      ),
  },
  {
    name: "nomq_build_info",
    type: "gauge",
    help: "Always 1; its labels say what runs",
    labels: ["version", "node"],
    read: ({ version }) => [[[version, process.version], 1]],
  },
  {
    name: "nomq_process_cpu_seconds_total",
    type: "counter",
    help: "Processor time of the process",
    labels: [],
    read: ({ process: { cpuSeconds } }) => one(cpuSeconds),
  },
  {
    name: "nomq_process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory of the process",
    labels: [],
    read: ({ process: { residentBytes } }) => one(residentBytes),
  },
  {
    name: "nomq_process_heap_bytes",
    type: "gauge",
    help: "Heap in use",
    labels: [],
    read: ({ process: { heapBytes } }) => one(heapBytes),
  },
  {
    name: "nomq_process_start_time_seconds",
    type: "gauge",
    help: "When the process started, Unix seconds",
    labels: [],
    read: ({ process: { startedAt } }) => one(startedAt),
  },
  {
    name: "nomq_event_loop_delay_seconds",
    type: "gauge",
    help: "How late timers came since the last scrape: 50, 99 and 100",
    labels: ["percentile"],
    read: ({ process: { loopDelays } }) =>
      loopDelays.map(([percentile, delay]): Sample => [[percentile], delay]),
  },
  {
    name: "nomq_event_loop_utilization",
    type: "gauge",
    help: "Part of the time since the last scrape that the event loop was busy, 0 to 1",
    labels: [],
    read: ({ process: { loopUtilization } }) => one(loopUtilization),
  },
];

/** Metrics of the gateway itself: its HTTP side, its store, its process. */
export const GATEWAY_METRICS: readonly Metric<Facts>[] = [...HTTP, ...STORE, ...REST];
