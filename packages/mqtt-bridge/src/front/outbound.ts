import type { IConnackPacket, IConnectPacket } from "mqtt-packet";
import type { Counters } from "../counters.ts";
import type { ListenerSettings } from "../options.ts";
import { PACKET, packetIdOf, publishHead, typeOf } from "./frames.ts";
import { createGate, type Durable } from "./gate.ts";
import type { InboundWindow } from "./inbound-window.ts";
import { createOutboundWindow } from "./outbound-window.ts";
import type { ProtocolVersion } from "./packets.ts";
import { decodePacket, encodePacket, REASON } from "./packets.ts";
import type { SubscriptionDesk } from "./subscriptions.ts";
import type { Writer } from "./writer.ts";

/** Unacknowledged messages to a client that states no Receive Maximum, and the most we use of one it states. */
const WINDOW_311 = 100;
const WINDOW_5 = 1000;
/** Stored and retained messages are read ahead this far. */
const READ_AHEAD = 100;

/** Whether messages move towards one client. */
export interface OutboundProgress {
  /** At QoS 1 and 2: sent and not acknowledged, waiting to be sent, acknowledged so far. */
  readonly inFlight: number;
  readonly waiting: number;
  readonly acknowledged: number;
  /** At QoS 0: not sent because the socket was behind. */
  readonly dropped: number;
  /** Since when the socket takes nothing, monotonic milliseconds. */
  readonly behindSince: number | undefined;
}

/** The way of packets from aedes to one client. */
export interface Outbound {
  /** A packet that aedes has written. */
  frame(frame: Buffer): void;
  /** PUBACK, PUBCOMP or a refusing PUBREC has come for a message we sent. */
  acknowledged(id: number): void;
  /** CONNACK with success has left. */
  isConnected(): boolean;
  progress(): OutboundProgress;
  room(): Promise<void>;
  drained(): void;
  close(): void;
}

/** What the way out is made of. */
export interface OutboundOptions {
  readonly connect: IConnectPacket;
  readonly version: ProtocolVersion;
  readonly listener: ListenerSettings;
  readonly counters: Counters;
  readonly writer: Writer;
  readonly sessionPresent: boolean;
  readonly inbound: InboundWindow;
  readonly desk: SubscriptionDesk;
  toAedes(frame: Buffer): void;
  toClient(frame: Buffer): void;
  retainedSent(frame: Buffer, id: number): void;
  readonly durable: Durable;
  /** Runs when what the session has now is stored. */
  afterStored(run: () => void): void;
  cut(code: number, reason: string): void;
}

/** Makes the way out of one connection. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { connect, version, counters, writer, inbound, toClient } = options;
  const stated = connect.properties?.receiveMaximum ?? 0xffff;
  const largest = connect.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  const window = createOutboundWindow(version === 5 ? Math.min(stated, WINDOW_5) : WINDOW_311, {
    hasRoom: writer.hasRoom,
    send: toClient,
  });
  /** QoS 2 messages too large for the client, whose PUBREL aedes will write. */
  const skipped = new Set<number>();
  let roomers: (() => void)[] = [];
  let acknowledged = 0;
  let dropped = 0;
  let connected = false;
  let over = false;
  const gate = createGate(options.durable, { isOver: () => over, moved: () => tellRoom() });

  const hasRoom = (): boolean => over || (window.waiting() + gate.waiting() < READ_AHEAD && writer.hasRoom());
  const tellRoom = (): void => {
    if (roomers.length === 0 || !hasRoom()) return;
    const waiting = roomers;
    roomers = [];
    for (const resolve of waiting) resolve();
  };
  /** MQTT 5.0 section 3.1.2.11.4: to the sender it must look as if the message had been delivered. */
  const skip = (id: number, qos: number): void => {
    counters.add("messagesDropped", "too-large");
    if (qos === 0) return;
    if (qos === 2) skipped.add(id);
    options.toAedes(idFrame(qos === 1 ? 0x40 : 0x50, id));
  };
  const publish = (frame: Buffer): void => {
    const head = publishHead(frame);
    if (head === undefined) return;
    if (frame.length > largest) {
      skip(head.id, head.qos);
      return;
    }
    if (head.qos === 0) {
      if (writer.hasRoom()) writer.write(frame);
      else {
        dropped += 1;
        counters.add("messagesDropped", "slow-reader");
      }
      return;
    }
    if (head.retain) options.retainedSent(frame, head.id);
    gate.pass(head.qos === 2, () => {
      if (!window.offer(head.id, frame)) options.cut(REASON.quotaExceeded, "overflow");
    });
  };
  const pubrel = (frame: Buffer): void => {
    const id = packetIdOf(frame);
    if (skipped.delete(id)) {
      options.toAedes(idFrame(0x70, id));
      return;
    }
    gate.pass(true, () => {
      window.occupy(id);
      toClient(frame);
    });
  };
  const connack = (frame: Buffer): void => {
    const packet = decodePacket(frame, version);
    if (packet?.cmd !== "connack" || (packet.reasonCode ?? packet.returnCode ?? 0) !== 0) {
      toClient(frame);
      return;
    }
    const send = (): void => {
      connected = true;
      toClient(encodePacket(completed(packet, options), version) ?? frame);
    };
    gate.open(send, () => options.cut(REASON.serverUnavailable, "hub-closed"));
  };
  const route = (frame: Buffer): void => {
    const type = typeOf(frame);
    if (type === PACKET.publish) publish(frame);
    else if (type === PACKET.puback || type === PACKET.pubrec) {
      if (!inbound.want(packetIdOf(frame))) toClient(frame);
    } else if (type === PACKET.pubrel) pubrel(frame);
    else if (type === PACKET.suback) options.desk.answered(frame);
    else if (type === PACKET.connack) connack(frame);
    else if (type === PACKET.unsuback) options.afterStored(() => toClient(frame));
    else if (type === PACKET.pubcomp) {
      options.afterStored(() => {
        inbound.complete(packetIdOf(frame));
        toClient(frame);
      });
    } else toClient(frame);
  };

  return {
    frame(frame) {
      if (!gate.hold(() => route(frame))) route(frame);
    },
    acknowledged(id) {
      acknowledged += 1;
      window.release(id);
      tellRoom();
    },
    isConnected: () => connected,
    progress: () => ({
      inFlight: window.inFlight(),
      waiting: window.waiting(),
      acknowledged,
      dropped,
      behindSince: writer.behindSince(),
    }),
    room: () => (hasRoom() ? Promise.resolve() : new Promise((resolve) => roomers.push(resolve))),
    drained() {
      window.pump();
      tellRoom();
    },
    close() {
      over = true;
      tellRoom();
    },
  };
}

/** What aedes leaves out of CONNACK (MQTT 5.0 section 3.2.2). */
function completed(packet: IConnackPacket, options: OutboundOptions): IConnackPacket {
  const sessionPresent = packet.sessionPresent || options.sessionPresent;
  if (options.version !== 5) return { ...packet, sessionPresent };
  const properties = { ...packet.properties, maximumPacketSize: options.listener.maxPayload };
  return { ...packet, sessionPresent, properties };
}

function idFrame(first: number, id: number): Buffer {
  return Buffer.from([first, 2, id >> 8, id & 0xff]);
}
