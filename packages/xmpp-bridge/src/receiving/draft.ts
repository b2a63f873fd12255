import type { Draft } from "@nomq/core";
import type { ReadItem } from "../payload/item.ts";

/** The item id of a channel's state (XEP-0060 section 12.20 calls such nodes singletons). */
export const CURRENT = "current";

/** An item as the message it is. Foreign items have QoS 1: the server has kept them for us. */
export function draftOf(
  read: ReadItem,
  { channel, id, ttlMs }: { readonly channel: string; readonly id: string; readonly ttlMs?: number },
): Draft {
  const { contentType, correlation, payload, priority, properties, qos, responseChannel } = read;
  return {
    channel,
    payload,
    qos: qos ?? 1,
    retain: id === CURRENT,
    ...(priority === undefined ? {} : { priority }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(responseChannel === undefined ? {} : { responseChannel }),
    ...(correlation === undefined ? {} : { correlation }),
    ...(properties === undefined ? {} : { properties }),
  };
}

/** The channel has no state any more. */
export const clearingDraft = (channel: string): Draft => ({
  channel,
  payload: new Uint8Array(),
  qos: 1,
  retain: true,
});
