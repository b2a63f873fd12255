import { itemPayload, readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import type { NodeItem } from "../../packages/xmpp-bridge/src/receiving/notification.ts";
import type { Element } from "../../packages/xmpp-bridge/src/stream/element.ts";
import type { Sent } from "./book.ts";

/** The id of its item: as long as those of gateways. */
export const idOf = ({ id }: Sent): string => Buffer.from(id).toString("hex").padStart(32, "0").slice(-32);

/** As a gateway writes it. Of QoS 1 without the name that tells repeats apart, as other programs do. */
export function payloadOf(sent: Sent): Element {
  const { channel, id, place, qos, retain } = sent;
  const message = { id: idOf(sent), seq: place, priority: 0, publishedAt: sent.sentAt, origin: "trust" };
  const made = itemPayload(
    { ...message, channel, qos, retain, payload: Buffer.from(id) },
    { gateway: "trust" },
  );
  if (made === "too-large") throw new Error(made);
  if (qos < 2) for (const name of ["n:oid", "n:gw"]) delete made.attrs[name];
  return made;
}

/**
 * What was read of a node, in the order it was sent. A server puts an item that is sent again at the end: read before
 * those after it have followed, it is behind them. Order is told by what comes live, and by what the node keeps at the end.
 */
export function asSent(items: readonly NodeItem[]): readonly NodeItem[] {
  const placeOf = ({ payload }: NodeItem): number => {
    const text = Buffer.from((payload && readItem(payload)?.payload) ?? []).toString();
    return Number(text.slice(text.lastIndexOf("#") + 1));
  };
  return items.toSorted((one, other) => placeOf(one) - placeOf(other));
}
