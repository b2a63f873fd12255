export type { PublishingCounts, XmppCounts } from "./counters.ts";
export type { LinkCounts } from "./link/link.ts";
export { type XmppVariant, xmppMapping } from "./mapping.ts";
export type { NodeCounts } from "./nodes/nodes.ts";
export type { XmppBridgeOptions } from "./options.ts";
export type { ReceivingCounts } from "./receiving/receiving.ts";
export { createXmppBridge, type XmppBridge } from "./xmpp-bridge.ts";
