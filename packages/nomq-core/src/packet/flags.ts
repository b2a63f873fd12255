import type { Qos } from "../message.ts";
import type { Packet } from "./packet.ts";

// PUBLISH:              pppp m r qq   priority, mark, retain, QoS
// SUBSCRIBE:            m 000 pppp    mark, priority
// UNSUBSCRIBE:          m 000 0000
// ACK:                  0000 m 0 qq
// every other:          0000 m 000
const QOS = 0b0000_0011;
const RETAIN = 0b0000_0100;
const MARK = 0b0000_1000;
const SUBSCRIBE_MARK = 0b1000_0000;
const PRIORITY = 0b1111;
const PRIORITY_SHIFT = 4;

/** What the flags byte of a PUBLISH says. */
export interface PublishFlags {
  readonly qos: Qos;
  readonly retain: boolean;
  /** 0 to 15. */
  readonly priority: number;
}

/** Reads a PUBLISH's flags. QoS 3, which devices can send by mistake and acknowledge to no one, counts as 0. */
export function readPublishFlags(flags: number): PublishFlags {
  return {
    qos: readQos(flags),
    retain: (flags & RETAIN) !== 0,
    priority: flags >> PRIORITY_SHIFT,
  };
}

/** The QoS in the flags of a PUBLISH or an ACK; 3 counts as 0. */
export function readQos(flags: number): Qos {
  const qos = flags & QOS;
  return qos === 1 || qos === 2 ? qos : 0;
}

/** The QoS in the flags of a PUBLISH as it stands there, 3 included. */
export function readWireQos(flags: number): Qos | 3 {
  // Two bits.
  return (flags & QOS) as Qos | 3;
}

/** Writes a PUBLISH's flags, without our mark: see {@link withMark}. */
export function publishFlags(flags: PublishFlags): number {
  return flags.qos | (flags.retain ? RETAIN : 0) | ((flags.priority & PRIORITY) << PRIORITY_SHIFT);
}

/** The priority, 0 to 15, in a SUBSCRIBE's flags. */
export function readSubscribePriority(flags: number): number {
  return flags & PRIORITY;
}

/**
 * Adds the mark by which our nodes know one another: bit 3, and bit 7 on SUBSCRIBE and UNSUBSCRIBE, whose low
 * bits hold the priority (protocol.md section 7). Devices leave it 0 and ignore it.
 */
export function withMark(type: Packet["type"], flags: number): number {
  return flags | markOf(type);
}

/** Whether the sender is a node of ours. */
export function isMarked(type: Packet["type"], flags: number): boolean {
  return (flags & markOf(type)) !== 0;
}

function markOf(type: Packet["type"]): number {
  return type === "SUBSCRIBE" || type === "UNSUBSCRIBE" ? SUBSCRIBE_MARK : MARK;
}
