/**
 * The item that holds a channel's retained value (XEP-0060 section 12.20: a singleton node has this one). Events have the
 * message's id.
 */
export const STATE_ITEM = "current";
