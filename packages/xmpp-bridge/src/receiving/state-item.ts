import type { Draft } from "@nomq/core";

/** The item id of a channel's state (XEP-0060 section 12.20: a singleton node has this one). */
export const CURRENT = "current";

/** The channel has no state any more. */
export const clearingDraft = (channel: string): Draft => ({
  channel,
  payload: new Uint8Array(),
  qos: 1,
  retain: true,
});
