export type { PublishingCounts, XmppCounts } from "./counters.ts";
export type { LinkCounts } from "./link/link.ts";
export { type XmppVariant, xmppMapping } from "./mapping.ts";
export type { NodeCounts } from "./nodes/nodes.ts";
export {
  type XmppBridgeOptions,
  xmppFindEveryFault,
  xmppHostFault,
  xmppJidFault,
  xmppServiceFault,
  xmppUsernameFault,
} from "./options.ts";
export type { ReceivingCounts } from "./receiving/receiving.ts";
export { isTlsRequired } from "./stream/tls-policy.ts";
export { createXmppBridge, type XmppBridge } from "./xmpp-bridge.ts";
