import { isUtf8 } from "node:buffer";
import type { Delivery } from "../bridge.ts";
import {
  approximated,
  kept,
  LOST_PROPERTY,
  type LostProperty,
  lost,
  lostProperties,
  type MappingLosses,
  type MappingProperty,
  type MappingRow,
  MESSAGE_TESTS,
  type PropertyTests,
  type ProtocolMapping,
} from "../mapping.ts";
import { type Draft, MAX_NAME_BYTES, type Message, type Qos } from "../message.ts";
import type { IncomingMessage, NodePublishOptions, PeerKind } from "../node/contract.ts";
import { MAX_DEVICE_MESSAGE } from "../node/sending/wire.ts";

/** What a device gets of a payload that is no UTF-8. */
type Binary = "refuse" | "base64";

/** Seconds: the wire has 16 bits, and no word for "never". */
const LONGEST_TTL = 65_535;
/** Bytes that one datagram carries besides our own fields, in either dialect (protocol.md section 1). */
const MAX_NODE_MESSAGE = 65_375;

const both = <Cell>(cell: Cell): { readonly device: Cell; readonly node: Cell } => ({
  device: cell,
  node: cell,
});
const NO_PLACE = lost("the packet has no place for it");
const NEVER_SENT = both(lost("never sent: the hub knows 0, 1 and 2"));

const payloadIn = { convert: ({ payload }: IncomingMessage): Uint8Array => payload };
const qosIn = { convert: ({ qos }: IncomingMessage): Qos => qos };
const qosOut = { convert: ({ qos }: Message): Qos => qos };
const retainIn = { convert: ({ retain }: IncomingMessage): boolean => retain };
const retainOut = { convert: ({ retain }: Message): boolean => retain };
const same = { convert: (payload: Uint8Array): Uint8Array => payload };

const ttlOut = approximated(
  "seconds left, rounded up, at most 65,535 (18 hours): longer is capped and counted, and so is never, uncounted; v1 devices do nothing with it, the gateway enforces it until the datagram leaves",
  {
    most: LONGEST_TTL,
    // The node rounds up, and its deadline is exact.
    convert: (expiresInMs: number | undefined): number =>
      expiresInMs === undefined ? LONGEST_TTL : Math.min(expiresInMs / 1000, LONGEST_TTL),
  },
);

const rows = {
  name: {
    from: both(
      approximated(
        "the hash of a name of 1 to 65,535 bytes: names come from configuration, from SUBSCRIBE packets, from every other protocol's use and from `nomq name`; an unknown hash is dropped and listed by `nomq unknown`",
        { most: MAX_NAME_BYTES, convert: ({ channel }: IncomingMessage): string => channel },
      ),
    ),
    to: both(
      kept(
        "the first 16 bytes of the SHA-256 of a name of 1 to 65,535 bytes; who subscribed knows the name",
        {
          most: MAX_NAME_BYTES,
          convert: ({ channel }: Message): string => channel,
        },
      ),
    ),
  },
  publish: {
    from: both(kept("PUBLISH")),
    to: {
      device: kept("PUBLISH, one at a time, at most `nomq.pace` datagrams a second"),
      node: kept("PUBLISH, up to 64 on the way at once"),
    },
  },
  qos0: {
    from: both(kept("no ACK", qosIn)),
    to: both(kept("no ACK is awaited; `delivered` means handed to the network", qosOut)),
  },
  qos1: {
    from: both(kept("ACK once the hub has stored it; a repetition is routed once", qosIn)),
    to: both(kept("sent again with a new nonce until ACK comes: at least once", qosOut)),
  },
  qos2: {
    from: both(kept("PUBREC once the hub has stored it, PUBREL, PUBCOMP: once", qosIn)),
    to: {
      device: approximated(
        "PUBREC, PUBREL, PUBCOMP: never twice; where every PUBREC was lost nobody can tell whether the device has it, and the outcome is `uncertain`, never `delivered`",
        qosOut,
      ),
      node: kept(
        "PUBREC, PUBREL, PUBCOMP under one packet id, sent again until answered: exactly once",
        qosOut,
      ),
    },
  },
  qos3: {
    from: both(lost("counts as QoS 0, since v1 acknowledges it to no one; the message says so")),
    to: NEVER_SENT,
  },
  retain: {
    from: both(kept("flag bit 2", retainIn)),
    to: {
      device: kept(
        "flag bit 2; the value kept is sent at first contact, on a new session id that is no renewal, and on the first packet after silence",
        retainOut,
      ),
      node: kept(
        "flag bit 2; the value kept is sent when the node subscribes, and again as to a device",
        retainOut,
      ),
    },
  },
  "no-value": {
    from: both(kept("nothing is sent")),
    to: both(kept("nothing is sent")),
  },
  "clear-retained": {
    from: {
      device: approximated(
        "an empty retained PUBLISH; the original program refuses to publish an empty message, so a device needs a changed one",
        retainIn,
      ),
      node: kept("an empty retained PUBLISH", retainIn),
    },
    to: both(kept("an empty retained PUBLISH", retainOut)),
  },
  ttl: {
    from: both(
      kept(
        "whole seconds, 0 to 65,535; 0 is now or never: it goes to those who can take it now and is stored for no one; a sender that gives none says 3,600",
        { most: LONGEST_TTL, convert: ({ ttl }: IncomingMessage): number => ttl * 1000 },
      ),
    ),
    to: both(ttlOut),
  },
  "content-type": {
    from: both(
      approximated("the type that `nomq.channels` gives the channel, else unknown", {
        convert: ({ channel }: IncomingMessage, types: ReadonlyMap<string, string>): string | undefined =>
          types.get(channel),
      }),
    ),
    to: both(NO_PLACE),
  },
  priority: {
    from: both(kept("flag bits 4 to 7", { convert: ({ priority }: IncomingMessage): number => priority })),
    to: both(
      kept("flag bits 4 to 7; higher ones leave first", {
        convert: ({ priority }: Message): number => priority,
      }),
    ),
  },
  text: {
    from: both(kept("byte for byte")),
    to: both(kept("byte for byte", same)),
  },
  binary: {
    from: {
      device: kept("byte for byte, though the original program sends text only", payloadIn),
      node: kept("byte for byte", payloadIn),
    },
    to: {
      device: approximated(
        "a device reads UTF-8 only: base64 for a device with `binary: base64`, else `refused: binary` and counted",
        {
          convert: (payload: Uint8Array, binary: Binary): Uint8Array | undefined =>
            binary === "base64" ? Buffer.from(Buffer.from(payload).toString("base64"), "latin1") : undefined,
        },
      ),
      node: kept("byte for byte", same),
    },
  },
  size: {
    from: {
      device: kept("the original program sends 1 to 1,024 characters", { most: MAX_NODE_MESSAGE }),
      node: kept("up to 65,375 bytes, in one datagram", { most: MAX_NODE_MESSAGE }),
    },
    to: {
      device: kept("up to 1,339 bytes; larger is `refused: too-large`, never cut", {
        most: MAX_DEVICE_MESSAGE,
      }),
      node: kept("up to 65,375 bytes, in one datagram; larger is `refused: too-large`, never cut", {
        most: MAX_NODE_MESSAGE,
      }),
    },
  },
  properties: { from: both(NO_PLACE), to: both(NO_PLACE) },
  "response-channel": { from: both(NO_PLACE), to: both(NO_PLACE) },
  correlation: { from: both(NO_PLACE), to: both(NO_PLACE) },
  presence: {
    from: both(approximated("a heartbeat answered, any packet heard; offline after the session's timeout")),
    to: both(lost("a peer is not told who else is there; a will is a message and arrives as one")),
  },
} satisfies Readonly<Record<MappingProperty, MappingRow<PeerKind>>>;

/** What NoMQ does with each property of a message: from and to a v1 device and a node of ours. */
export const nomqMapping: ProtocolMapping<PeerKind> = {
  protocol: "nomq",
  title: "NoMQ",
  variants: [
    { id: "device", title: "NoMQ v1 device" },
    { id: "node", title: "NoMQ node of ours" },
  ],
  rows,
  notes: [
    "A v1 device accepts at most ten packets a second and hears only the channels it subscribed to: acknowledgements for other channels do not reach its program.",
    "A broadcast is one packet for all that hold the key, at QoS 0 whatever the message says; the outcome of QoS 1 and 2 is then `uncertain`. On IPv4 it is made for v1 devices.",
    "A message to a device that has lost its acknowledgement is sent again with a new nonce at QoS 1, so that the device may show it twice.",
  ],
};

const QOS = [rows.qos0, rows.qos1, rows.qos2] as const;

/** What a packet may have besides what its message shows. */
const INCOMING_TESTS: PropertyTests<IncomingMessage> = { qos3: ({ wireQos }) => wireQos === 3 };
const LOST_FROM: Readonly<Record<PeerKind, readonly LostProperty<IncomingMessage>[]>> = {
  device: lostProperties((property) => rows[property].from.device, INCOMING_TESTS),
  node: lostProperties((property) => rows[property].from.node, INCOMING_TESTS),
};
const LOST_TO: Readonly<Record<PeerKind, readonly LostProperty<Message>[]>> = {
  device: lostProperties((property) => rows[property].to.device, MESSAGE_TESTS),
  node: lostProperties((property) => rows[property].to.node, MESSAGE_TESTS),
};

/** The hub's words for a message from a peer. What it lost is counted, and said in a property of it. */
export function draftFromIncoming(
  incoming: IncomingMessage,
  contentTypes: ReadonlyMap<string, string>,
  losses: MappingLosses,
): Draft {
  const { kind } = incoming.peer;
  const contentType = rows["content-type"].from[kind].convert(incoming, contentTypes);
  const draft: Draft = {
    channel: rows.name.from[kind].convert(incoming),
    payload: rows.binary.from[kind].convert(incoming),
    qos: QOS[incoming.qos].from[kind].convert(incoming),
    retain: rows.retain.from[kind].convert(incoming),
    priority: rows.priority.from[kind].convert(incoming),
    ttlMs: rows.ttl.from[kind].convert(incoming),
  };
  const said = lostOf(incoming, losses);
  if (contentType === undefined && said.length === 0) return draft;
  return {
    ...draft,
    ...(contentType !== undefined && { contentType }),
    ...(said.length > 0 && { properties: said }),
  };
}

const NOTHING_LOST: readonly (readonly [string, string])[] = [];

function lostOf(incoming: IncomingMessage, losses: MappingLosses): typeof NOTHING_LOST {
  let said = NOTHING_LOST;
  for (const [property, isThere] of LOST_FROM[incoming.peer.kind]) {
    if (!isThere(incoming)) continue;
    losses.add("nomq", "hub", property);
    said = [...said, [LOST_PROPERTY, property]];
  }
  return said;
}

/** The payload as a peer can take it; undefined where it cannot. */
export function payloadFor(payload: Uint8Array, kind: PeerKind, binary: Binary): Uint8Array | undefined {
  if (kind === "node") return rows.binary.to.node.convert(payload);
  return isUtf8(payload)
    ? rows.text.to.device.convert(payload)
    : rows.binary.to.device.convert(payload, binary);
}

/** What a PUBLISH to a peer says of a message. */
export function publishOptionsFor(
  message: Message,
  { expiresInMs }: Pick<Delivery, "expiresInMs">,
  kind: PeerKind,
): Required<Pick<NodePublishOptions, "qos" | "retain" | "priority" | "ttl">> {
  return {
    qos: QOS[message.qos].to[kind].convert(message),
    retain: rows.retain.to[kind].convert(message),
    priority: rows.priority.to[kind].convert(message),
    ttl: rows.ttl.to[kind].convert(expiresInMs),
  };
}

/** Counts what a message lost on its way to a peer that has it now. */
export function countLosses(
  message: Message,
  { expiresInMs }: Pick<Delivery, "expiresInMs">,
  { kind, losses }: { readonly kind: PeerKind; readonly losses: MappingLosses },
): void {
  for (const [property, isThere] of LOST_TO[kind]) {
    if (isThere(message)) losses.add(message.origin, `nomq:${kind}`, property);
  }
  if (expiresInMs !== undefined && expiresInMs > rows.ttl.to[kind].most * 1000) {
    losses.add(message.origin, `nomq:${kind}`, "ttl");
  }
}
