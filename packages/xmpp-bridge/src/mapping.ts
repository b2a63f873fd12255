import {
  approximated,
  type Draft,
  kept,
  lost,
  MAX_NAME_BYTES,
  type MappingProperty,
  type MappingRow,
  type Message,
  type ProtocolMapping,
  type Qos,
} from "@nomq/core";
import { itemPayload, MAX_PAYLOAD_BYTES, type ReadItem } from "./payload/item.ts";
import { STATE_ITEM } from "./payload/state-item.ts";
import type { Element } from "./stream/element.ts";

/** Whose items: those with our attributes, which every gateway of ours writes, or anyone's. */
export type XmppVariant = "item" | "plain";

/** An item of a node, read. */
export interface ReceivedItem {
  readonly channel: string;
  /** The item's id. */
  readonly id: string;
  readonly item: ReadItem;
  /** Milliseconds that it has left to live; absent without expiry. */
  readonly expiresInMs?: number;
}

/** An item to be published. */
export interface ItemToSend {
  readonly id: string;
  readonly payload: Element | "too-large";
}

const both = <Cell>(cell: Cell): { readonly item: Cell; readonly plain: Cell } => ({
  item: cell,
  plain: cell,
});
const ATTRIBUTES = "32 KiB for all attributes together";
const NOT_SAID = lost("nothing in the item says it");
const name = { most: MAX_NAME_BYTES };

const qosIn = { convert: ({ item }: ReceivedItem): Qos => item.qos ?? 1 };
const AT_QOS_1 = approximated("arrives at QoS 1: nothing in the item says it", qosIn);

const rows = {
  name: {
    from: both(kept("node id; that of a node `h:` and a SHA-256 is read from the node's title", name)),
    to: both(
      kept(
        "node id; one that XML cannot hold, or above 242 letters and digits (others count thrice), is `h:` and its SHA-256, and the node's title says it",
        name,
      ),
    ),
  },
  publish: { from: both(kept("an item is published")), to: both(kept("an item is published")) },
  qos0: {
    from: { item: kept("attribute `qos`", qosIn), plain: AT_QOS_1 },
    to: both(kept("attribute `qos`; nobody waits for the service's answer")),
  },
  qos1: {
    from: {
      item: kept("attribute `qos`", qosIn),
      plain: approximated("arrives at QoS 1, whatever it was", qosIn),
    },
    to: both(
      kept("attribute `qos`; published again, under the same item id, until the service has answered"),
    ),
  },
  qos2: {
    from: { item: kept("attribute `qos`; routed once, told by node and item id", qosIn), plain: AT_QOS_1 },
    to: both(
      approximated(
        "attribute `qos`; published again under the same item id, it is the same item, of which subscribers may be told twice",
      ),
    ),
  },
  qos3: {
    from: both(lost("an attribute that says so is not looked at")),
    to: both(lost("never sent: the hub knows 0, 1 and 2")),
  },
  retain: {
    from: both(
      kept("the item with the id `current` is the state, any other an event", {
        convert: ({ id }: ReceivedItem): boolean => id === STATE_ITEM,
      }),
    ),
    to: both(
      kept("item `current`, which new subscribers are sent; events have the message's id", {
        convert: ({ retain, id }: Message): string => (retain ? STATE_ITEM : id),
      }),
    ),
  },
  "no-value": {
    from: both(kept("nothing is sent")),
    to: both(kept("the node has no item `current`")),
  },
  "clear-retained": {
    from: both(kept("`current` is retracted, the node purged or deleted; what its history forgets is none")),
    to: both(kept("`current` is retracted, and subscribers are told")),
  },
  ttl: {
    from: {
      item: kept("attributes `ttl` and `exp`, milliseconds; what has expired is left out", {
        convert: ({ expiresInMs }: ReceivedItem): number | undefined => expiresInMs,
      }),
      plain: NOT_SAID,
    },
    to: both(
      kept("attributes `ttl` and `exp`, milliseconds; no server ends items, so they are retracted in time"),
    ),
  },
  "content-type": {
    from: {
      item: kept("attribute `ct`", {
        convert: ({ item }: ReceivedItem): string | undefined => item.contentType,
      }),
      plain: approximated("by the element: JSON, what XEP-0231 says, else XML", {
        convert: ({ item }: ReceivedItem): string | undefined => item.contentType,
      }),
    },
    to: both(kept("attribute `ct`; JSON goes in the element of XEP-0335")),
  },
  priority: {
    from: {
      item: kept("attribute `prio`, 0 to 15", {
        convert: ({ item }: ReceivedItem): number => item.priority ?? 0,
      }),
      plain: NOT_SAID,
    },
    to: both(kept("attribute `prio`, absent for 0")),
  },
  text: {
    from: {
      item: kept("byte for byte"),
      plain: approximated("JSON and text byte for byte; other XML is written anew"),
    },
    to: both(kept("byte for byte, as text where XML can hold it, else as base64")),
  },
  binary: {
    from: {
      item: kept("base64", { convert: ({ item }: ReceivedItem): Uint8Array => item.payload }),
      plain: approximated("base64 in the element of XEP-0231; others hold none", {
        convert: ({ item }: ReceivedItem): Uint8Array => item.payload,
      }),
    },
    to: both(
      kept("base64", {
        convert: (
          message: Message,
          said: { readonly gateway: string; readonly expiresInMs?: number },
        ): Element | "too-large" => itemPayload(message, said),
      }),
    ),
  },
  size: {
    from: both(kept("what the server lets through: 256 KiB a stanza as packaged")),
    to: both(kept("up to 128 KiB; a larger message is refused as `too-large`", { most: MAX_PAYLOAD_BYTES })),
  },
  properties: {
    from: {
      item: kept("attribute `props`, pairs in order", {
        convert: ({ item }: ReceivedItem): Draft["properties"] => item.properties,
      }),
      plain: NOT_SAID,
    },
    to: both(kept(`attribute \`props\`, pairs in order; ${ATTRIBUTES}`)),
  },
  "response-channel": {
    from: {
      item: kept("attribute `resp`", {
        convert: ({ item }: ReceivedItem): string | undefined => item.responseChannel,
      }),
      plain: NOT_SAID,
    },
    to: both(kept(`attribute \`resp\`; ${ATTRIBUTES}`)),
  },
  correlation: {
    from: {
      item: kept("attribute `corr`", {
        convert: ({ item }: ReceivedItem): Uint8Array | undefined => item.correlation,
      }),
      plain: NOT_SAID,
    },
    to: both(kept(`attribute \`corr\`; ${ATTRIBUTES}`)),
  },
  presence: {
    from: both(lost("presence of others is not followed")),
    to: both(lost("only the gateway's own presence is there")),
  },
} satisfies Readonly<Record<MappingProperty, MappingRow<XmppVariant>>>;

/** What XMPP does with each property of a message. {@link draftFromItem} and {@link itemOfMessage} read it. */
export const xmppMapping: ProtocolMapping<XmppVariant> = {
  protocol: "xmpp",
  title: "XMPP",
  variants: [
    { id: "item", title: "XMPP, items of gateways" },
    { id: "plain", title: "XMPP, anyone's items" },
  ],
  rows,
  notes: [
    "Attributes are of the namespace `urn:nomq:xmpp:0`, on the item's one payload element; whoever writes them is read as a gateway.",
    "On a node with a history the item sent to new subscribers is the youngest one, be it an event; `current` is among its items.",
    "Beyond the node's history (`xmpp.history`) events that a subscriber has missed are gone.",
  ],
};

const QOS = [rows.qos0, rows.qos1, rows.qos2] as const;

/** The hub's words for an item that holds a state or an event. */
export function draftFromItem(received: ReceivedItem): Draft {
  const { item } = received;
  const variant: XmppVariant = item.isOurs ? "item" : "plain";
  const contentType = rows["content-type"].from[variant].convert(received);
  const draft: Draft = {
    channel: received.channel,
    payload: rows.binary.from[variant].convert(received),
    qos: QOS[item.qos ?? 1].from[variant].convert(received),
    retain: rows.retain.from[variant].convert(received),
    ...(contentType === undefined ? {} : { contentType }),
  };
  return { ...draft, ...saidByAttributes(received) };
}

/** What only our attributes say; another's item may have some of them too. */
function saidByAttributes(received: ReceivedItem): Partial<Draft> {
  const ttlMs = rows.ttl.from.item.convert(received);
  const priority = rows.priority.from.item.convert(received);
  const properties = rows.properties.from.item.convert(received);
  const responseChannel = rows["response-channel"].from.item.convert(received);
  const correlation = rows.correlation.from.item.convert(received);
  return {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(priority === 0 ? {} : { priority }),
    ...(properties === undefined ? {} : { properties }),
    ...(responseChannel === undefined ? {} : { responseChannel }),
    ...(correlation === undefined ? {} : { correlation }),
  };
}

/** The item for a message that is no clearing; `expiresInMs` as in `Delivery`. */
export function itemOfMessage(
  message: Message,
  said: { readonly gateway: string; readonly expiresInMs?: number },
): ItemToSend {
  return {
    id: rows.retain.to.item.convert(message),
    payload: rows.binary.to.item.convert(message, said),
  };
}
