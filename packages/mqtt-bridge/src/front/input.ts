import { isUtf8 } from "node:buffer";
import { PACKET, packetIdOf, publishHead, reasonOf, typeOf } from "./frames.ts";
import type { InboundWindow } from "./inbound-window.ts";
import type { Outbound } from "./outbound.ts";
import type { ProtocolVersion, Verdict } from "./packets.ts";
import { REASON } from "./packets.ts";
import type { SubscriptionDesk } from "./subscriptions.ts";

/** MQTT 3.1.1 has no Receive Maximum: with so many publishes waiting for the hub we stop reading. */
const WAITING_311 = 1000;
/** What a client may send before its session is ready. */
const HELD_BYTES = 64 * 1024;

/** Why the socket is not read. */
export type PauseReason = "aedes" | "held" | "hub" | "behind";

/** The way of packets from one client to aedes. */
export interface Input {
  receive(frame: Buffer): void;
  /** The client sends no more. */
  ended(): void;
  /** The session is ready: what waited goes on. */
  ready(): void;
  /** The hub has answered a publish. */
  settle(id: number, verdict: Verdict): void;
  /** Takes nothing more. */
  close(): void;
}

/** What the way in is made of. */
export interface InputOptions {
  readonly version: ProtocolVersion;
  readonly inbound: InboundWindow;
  readonly desk: SubscriptionDesk;
  readonly outbound: Pick<Outbound, "acknowledged">;
  toAedes(frame: Buffer): void;
  /** Tells aedes that nothing follows. */
  end(): void;
  cut(code: number, reason: string): void;
  pause(why: PauseReason, on: boolean): void;
  endsFor(reason: string): void;
}

/** Makes the way in of one connection. */
export function createInput(options: InputOptions): Input {
  const { inbound, pause } = options;
  const handle = createHandler(options);
  let isReady = false;
  let hasEnded = false;
  let over = false;
  let held: Buffer[] = [];
  let heldBytes = 0;

  return {
    receive(frame) {
      if (over || hasEnded) return;
      // Acknowledgements are what a session's stored messages wait for while it gets ready.
      const isAcknowledgement = typeOf(frame) >= PACKET.puback && typeOf(frame) <= PACKET.pubcomp;
      if (isReady || isAcknowledgement) {
        handle(frame);
        return;
      }
      held.push(frame);
      heldBytes += frame.length;
      if (heldBytes > HELD_BYTES) pause("held", true);
    },
    ended() {
      hasEnded = true;
      options.endsFor("connection-lost");
      if (isReady && !over) options.end();
    },
    ready() {
      if (over) return;
      isReady = true;
      const waiting = held;
      held = [];
      for (const frame of waiting) if (!over) handle(frame);
      if (hasEnded && !over) options.end();
      pause("held", false);
    },
    settle(id, verdict) {
      inbound.settle(id, verdict);
      if (inbound.waiting() < WAITING_311 / 2) pause("hub", false);
    },
    close() {
      over = true;
      held = [];
    },
  };
}

/** What each kind of packet is checked for on its way to aedes. */
function createHandler(options: InputOptions): (frame: Buffer) => void {
  const { version, inbound, desk, outbound, toAedes, cut, pause } = options;

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
    if (type === PACKET.disconnect) options.endsFor("disconnect");
    if (type === PACKET.puback || type === PACKET.pubcomp) outbound.acknowledged(packetIdOf(frame));
    if (type === PACKET.pubrec && reasonOf(frame) >= REASON.unspecified)
      outbound.acknowledged(packetIdOf(frame));
    toAedes(frame);
  };
  return handle;
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
