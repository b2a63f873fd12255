export * from "./access-refusal.ts";
export { addressText, isGroupHost, parseEndpoint, plainAddress, plainHost } from "./address.ts";
export * from "./anonymous.ts";
export * from "./bridge.ts";
export * from "./clock.ts";
export * from "./errors.ts";
export { AgedMap } from "./hub/aged-map.ts";
export type { HubLimits } from "./hub/core.ts";
export { Heap } from "./hub/heap.ts";
export { DEFAULT_HISTORY, type HistoryRule, historyRuleFor } from "./hub/history-rules.ts";
export { createHub, type HubOptions } from "./hub/hub.ts";
export { messageBytes } from "./hub/lane.ts";
export { SortedNames, startAfter } from "./hub/memory/sorted-names.ts";
export { createMemoryStore, type MemoryStoreOptions } from "./hub/memory-store.ts";
export * from "./hub/store.ts";
export { type ClockStep, movedExpiry } from "./hub/time.ts";
export { bareJid } from "./jid.ts";
export * from "./log.ts";
export * from "./mapping.ts";
export * from "./message.ts";
export * from "./network.ts";
export * from "./node/node.ts";
export { nomqMapping } from "./nomq-bridge/mapping.ts";
export * from "./nomq-bridge/nomq-bridge.ts";
export * from "./packet/index.ts";
export * from "./page-check.ts";
export * from "./principal.ts";
export * from "./refusal-log.ts";
export * from "./session-log.ts";
export * from "./status-feed.ts";
export * from "./tally.ts";
export * from "./tcp-listen.ts";
export * from "./time-service/time-reply.ts";
export * from "./time-service/time-service.ts";
export * from "./transport.ts";
export { createFailureWatch, type FailureWatch, type FailureWatchUse } from "./udp/failures.ts";
export { openReopeningTransport, type ReopeningOptions } from "./udp/reopening-transport.ts";
export {
  bindUdpSocket,
  familyOf,
  hasAddress,
  lacksIpv6,
  reachableAddress,
  type SocketFamily,
  type UdpBinding,
} from "./udp/udp-socket.ts";
export * from "./udp/udp-transport.ts";
export * from "./write-behind.ts";
