import { isUtf8 } from "node:buffer";
import { Duplex } from "node:stream";
import type { Clock, Principal } from "@nomq/core";
import type { IConnectPacket } from "mqtt-packet";
import type { Counters } from "../counters.ts";
import type { ListenerSettings } from "../options.ts";
import { createFrameCutter, PACKET, packetIdOf, publishHead, reasonOf, typeOf } from "./frames.ts";
import { createInboundWindow } from "./inbound-window.ts";
import { createOutbound } from "./outbound.ts";
import type { ProtocolVersion, Verdict } from "./packets.ts";
import { acknowledgement, disconnectFrame, REASON } from "./packets.ts";
import type { DeskOptions } from "./subscriptions.ts";
import { createSubscriptionDesk } from "./subscriptions.ts";
import type { Writer } from "./writer.ts";

/** Unacknowledged publishes taken from one MQTT 5 client: its Receive Maximum (MQTT 5.0 section 3.2.2.3.3). */
export const RECEIVE_MAXIMUM = 256;
/** MQTT 3.1.1 has no such limit: with so many waiting for the hub we stop reading. */
const WAITING_311 = 1000;
/** What a client may send before its session is ready. */
const HELD_BYTES = 64 * 1024;

/** The stream between a client's socket and aedes. It works on whole packets. */
export interface Front {
  /** What aedes reads and writes. */
  readonly stream: Duplex;
  readonly version: ProtocolVersion;
  readonly principal: Principal;
  readonly connect: IConnectPacket;
  readonly listener: ListenerSettings;
  /** A packet from the client. */
  receive(frame: Buffer): void;
  /** The client sends no more. */
  inputEnded(): void;
  /** aedes has the session ready: what waited goes on. */
  ready(): void;
  /** The hub has answered a publish. */
  settle(id: number, verdict: Verdict): void;
  /** Resolves when there is room for one more stored or retained message, or the connection is over. */
  room(): Promise<void>;
  /** The socket takes data again. */
  drained(): void;
  /** Says why (MQTT 5) and ends the connection. */
  cut(code: number, reason: string): void;
  isOver(): boolean;
}

/** What a front is made of. */
export interface FrontOptions {
  readonly connect: IConnectPacket;
  readonly version: ProtocolVersion;
  readonly principal: Principal;
  readonly listener: ListenerSettings;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly writer: Writer;
  /** Whether an earlier session is resumed. */
  readonly sessionPresent: boolean;
  readonly subscriptions: Pick<DeskOptions, "held" | "may">;
  /** Reading from the socket. */
  read(on: boolean): void;
  /** A retained message at QoS 1 or 2 leaves under this id. */
  retainedSent(frame: Buffer, id: number): void;
  /** Nothing more to write: end the socket. */
  hangUp(): void;
}

/** Makes the front of a connection whose CONNECT has been accepted. */
export function createFront(options: FrontOptions): Front {
  const { connect, version, counters, writer } = options;
  let isReady = false;
  let hasEnded = false;
  let over = false;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const pausedBy = new Set<"aedes" | "held" | "hub" | "behind">();

  const pause = (why: "aedes" | "held" | "hub" | "behind", on: boolean): void => {
    if (on) pausedBy.add(why);
    else pausedBy.delete(why);
    options.read(pausedBy.size === 0);
  };
  const toAedes = (frame: Buffer): void => {
    if (!over && !stream.push(frame)) pause("aedes", true);
  };
  const toClient = (frame: Buffer): void => {
    writer.write(frame);
    if (!writer.hasRoom()) pause("behind", true);
  };
  const cut = (code: number, reason: string): void => {
    if (over) return;
    counters.add("connectionsCut", reason);
    if (version === 5 && outbound.isConnected()) writer.write(disconnectFrame(code));
    stream.destroy();
  };
  const answer = (id: number, qos: 1 | 2, verdict: Verdict): void => {
    if (over) return;
    // MQTT 3.1.1 cannot say no: the publish stays unacknowledged and the connection ends.
    if (version !== 5 && verdict.code >= REASON.unspecified) {
      cut(verdict.code, "publish-refused");
      return;
    }
    const withReason = connect.properties?.requestProblemInformation !== false;
    toClient(acknowledgement(qos === 1 ? "puback" : "pubrec", id, { verdict, version, withReason }));
  };

  const inbound = createInboundWindow(version === 5 ? RECEIVE_MAXIMUM : 0xffff, answer);
  const persistent = connect.clean !== true || (connect.properties?.sessionExpiryInterval ?? 0) > 0;
  const desk = createSubscriptionDesk({ ...options.subscriptions, version, persistent, send: toClient });
  const outbound = createOutbound({ ...options, inbound, desk, toAedes, toClient, cut });
  const cutter = createFrameCutter(() => Number.POSITIVE_INFINITY, outbound.frame);

  const publish = (frame: Buffer): void => {
    const head = publishHead(frame);
    if (head === undefined || head.qos === 3 || !isUtf8(head.topic)) {
      cut(REASON.malformedPacket, "malformed");
      return;
    }
    if (head.qos === 1 || head.qos === 2) {
      const arriving = inbound.arrive(head.id, head.qos, head.dup);
      if (arriving === "drop") return;
      if (arriving !== "pass") {
        cut(arriving.fault, "publish-fault");
        return;
      }
      if (version !== 5 && inbound.waiting() >= WAITING_311) pause("hub", true);
    }
    toAedes(frame);
  };
  const subscribe = (frame: Buffer): void => {
    const taken = desk.take(frame);
    if ("fault" in taken) cut(taken.fault, "malformed");
    else for (const one of taken) toAedes(one);
  };
  const handle = (frame: Buffer): void => {
    const type = typeOf(frame);
    if (type === PACKET.publish) {
      publish(frame);
      return;
    }
    if (type === PACKET.subscribe) {
      subscribe(frame);
      return;
    }
    if (!FROM_CLIENT.has(type)) {
      cut(REASON.protocolError, "protocol-error");
      return;
    }
    if (type === PACKET.puback || type === PACKET.pubcomp) outbound.acknowledged(packetIdOf(frame));
    if (type === PACKET.pubrec && reasonOf(frame) >= REASON.unspecified)
      outbound.acknowledged(packetIdOf(frame));
    toAedes(frame);
  };

  const stream = new Duplex({
    // aedes must never wait for a slow reader: what it writes is taken at once and bounded here.
    writableHighWaterMark: 2 ** 30,
    read: () => pause("aedes", false),
    write: (chunk: Buffer, _encoding, done) => {
      if (!over) cutter.push(chunk);
      done();
    },
    writev: (chunks, done) => {
      if (!over) cutter.push(Buffer.concat(chunks.map(({ chunk }: { chunk: Buffer }) => chunk)));
      done();
    },
    destroy: (error, done) => {
      if (!over && error !== null) {
        counters.add("connectionsCut", "failure");
        const code = error.message === "keep alive timeout" ? 0x8d : REASON.malformedPacket;
        if (version === 5 && outbound.isConnected()) writer.write(disconnectFrame(code));
      }
      over = true;
      held = [];
      outbound.close();
      options.hangUp();
      done(null);
    },
  });
  stream.on("error", () => undefined);

  return {
    stream,
    version,
    principal: options.principal,
    connect,
    listener: options.listener,
    receive(frame) {
      if (over || hasEnded) return;
      const isAcknowledgement = typeOf(frame) >= PACKET.puback && typeOf(frame) <= PACKET.pubcomp;
      if (isReady || isAcknowledgement) {
        handle(frame);
        return;
      }
      held.push(frame);
      heldBytes += frame.length;
      if (heldBytes > HELD_BYTES) pause("held", true);
    },
    inputEnded() {
      hasEnded = true;
      if (isReady && !over) stream.push(null);
    },
    ready() {
      if (over) return;
      isReady = true;
      const waiting = held;
      held = [];
      for (const frame of waiting) if (!over) handle(frame);
      if (hasEnded && !over) stream.push(null);
      pause("held", false);
    },
    settle(id, verdict) {
      inbound.settle(id, verdict);
      if (pausedBy.has("hub") && inbound.waiting() < WAITING_311 / 2) pause("hub", false);
    },
    room: outbound.room,
    drained() {
      pause("behind", false);
      outbound.drained();
    },
    cut,
    isOver: () => over,
  };
}

const FROM_CLIENT: ReadonlySet<number> = new Set([
  PACKET.puback,
  PACKET.pubrec,
  PACKET.pubrel,
  PACKET.pubcomp,
  PACKET.unsubscribe,
  PACKET.pingreq,
  PACKET.disconnect,
]);
