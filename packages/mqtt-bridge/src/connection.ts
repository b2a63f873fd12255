import type { Clock, Principal } from "@nomq/core";
import type { AddressCheck } from "./admission.ts";
import type { Arrival } from "./arrival.ts";
import type { Counters } from "./counters.ts";
import { examineConnect } from "./front/connect.ts";
import type { FrameFault } from "./front/frames.ts";
import { createFrameCutter } from "./front/frames.ts";
import type { Front, FrontOptions } from "./front/front.ts";
import { createFront } from "./front/front.ts";
import type { ProtocolVersion } from "./front/packets.ts";
import { REASON, refusingConnack } from "./front/packets.ts";
import type { WriteTurn } from "./front/writer.ts";
import { createWriter } from "./front/writer.ts";

/** CONNECT must come within this time. */
const CONNECT_MS = 10_000;
/** The largest CONNECT taken. */
const CONNECT_BYTES = 64 * 1024;
/** After our last packet the other side may take this long to close (MQTT 5.0 section 4.13). */
const LINGER_MS = 2_000;

/** One socket, from its first byte to its end. */
export interface Connection {
  /** Ends it: what is written goes out if the other side takes it. */
  close(): void;
}

/** What a connection needs of the broker. */
export interface ConnectionOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly turn: WriteTurn;
  readonly admits: AddressCheck;
  /** A refusal that an operator may want to know of. */
  refused(reason: string, arrival: Arrival): void;
  /** The code to refuse a CONNECT with, if any. */
  refuseSession(connect: FrontOptions["connect"]): number | undefined;
  sessionPresent(connect: FrontOptions["connect"]): boolean;
  /** CONNECT is accepted: aedes takes over. `frame` is the CONNECT. */
  accepted(front: Front, frame: Buffer): void;
  subscriptions(front: () => Front, principal: Principal): FrontOptions["subscriptions"];
  retainedSent(front: Front, frame: Buffer, id: number): void;
  /** The bridge is stopping: nobody waits for the other side any more. */
  isStopping(): boolean;
  failed(error: unknown): void;
  /** Without a front: it was never let in. */
  closed(front: Front | undefined): void;
}

/** Takes a socket: checks its CONNECT, then stands between it and aedes. */
export function takeConnection(arrival: Arrival, options: ConnectionOptions): Connection {
  const { socket, listener } = arrival;
  const { clock, counters } = options;
  let front: Front | undefined;
  let hasHungUp = false;
  let isFirst = true;

  const writer = createWriter(socket, {
    clock,
    turn: options.turn,
    drained: () => front?.drained(),
    stalled: () => {
      counters.add("connectionsCut", "stalled");
      front?.endsFor("stalled");
      socket.destroy();
    },
  });
  /** Half-closes and reads on, so that our last packet is not lost in a reset. */
  const hangUp = (): void => {
    if (hasHungUp) return;
    hasHungUp = true;
    cancelConnect();
    writer.flush();
    writer.close();
    socket.resume();
    if (options.isStopping()) {
      endAtOnce();
      return;
    }
    socket.end();
    const cancel = clock.after(LINGER_MS, () => socket.destroy());
    socket.once("close", cancel);
  };
  /** Nobody waits for the other side: what the kernel has taken goes out, the rest is lost. */
  const endAtOnce = (): void => {
    if (socket.writableLength > 0) socket.destroy();
    else socket.end(() => socket.destroy());
  };
  const refuse = (reason: string, frame?: Buffer): void => {
    if (hasHungUp) return;
    counters.add("clientsRefused", reason);
    options.refused(reason, arrival);
    if (frame !== undefined) writer.write(frame);
    hangUp();
  };
  const guard = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      options.failed(error);
      counters.add("connectionsCut", "failure");
      front?.stream.destroy();
      hangUp();
    }
  };
  const connect = (frame: Buffer): void => {
    const examined = examineConnect(frame);
    const { version } = examined;
    if ("refused" in examined) {
      refuse(examined.refused, refusingConnack(version, examined.code));
      return;
    }
    if (!options.admits(arrival.address)) {
      refuse("anonymous", refusingConnack(version, REASON.notAuthorized));
      return;
    }
    const code = options.refuseSession(examined.packet);
    if (code !== undefined) {
      refuse("session-quota", refusingConnack(version, code));
      return;
    }
    cancelConnect();
    const made = makeFront(examined.packet, version);
    front = made;
    options.accepted(made, frame);
  };
  const makeFront = (packet: FrontOptions["connect"], version: ProtocolVersion): Front => {
    const principal: Principal = "anonymous";
    const made: Front = createFront({
      connect: packet,
      version,
      principal,
      listener,
      clock,
      counters,
      writer,
      sessionPresent: options.sessionPresent(packet),
      subscriptions: options.subscriptions(() => made, principal),
      read: (on) => {
        if (hasHungUp) return;
        if (on) socket.resume();
        else socket.pause();
      },
      retainedSent: (frame, id) => options.retainedSent(made, frame, id),
      hangUp,
    });
    return made;
  };
  const fail = (fault: FrameFault): void => {
    const code = fault === "too-large" ? REASON.packetTooLarge : REASON.malformedPacket;
    if (front !== undefined) front.cut(code, fault);
    else refuse("connect-malformed");
  };

  const cutter = createFrameCutter(
    () => (front === undefined ? Math.min(CONNECT_BYTES, listener.maxPayload) : listener.maxPayload),
    (frame) => {
      if (hasHungUp) return;
      if (front === undefined) connect(frame);
      else front.receive(frame);
    },
  );
  const cancelConnect = clock.after(CONNECT_MS, () => refuse("connect-late"));

  socket.on("data", (chunk: Buffer) => {
    if (hasHungUp) return;
    guard(() => {
      // Whoever begins with something else does not speak MQTT (section 3.1).
      if (isFirst && chunk[0] !== 0x10) {
        refuse("connect-malformed");
        return;
      }
      isFirst = false;
      const fault = cutter.push(chunk);
      if (fault !== undefined && !hasHungUp) fail(fault);
    });
  });
  socket.on("end", () => {
    if (front === undefined) hangUp();
    else guard(() => front?.ended());
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    cancelConnect();
    writer.close();
    const ending = front;
    if (ending !== undefined && !ending.isOver()) {
      guard(() => ending.ended());
      // What has come is still handed on; whatever stands in its way must not keep the session for ever.
      const cancel = clock.after(LINGER_MS, () => ending.stream.destroy());
      ending.stream.once("close", cancel);
    }
    options.closed(front);
  });

  return {
    close() {
      if (hasHungUp) endAtOnce();
      else if (front !== undefined) front.stream.destroy();
      else hangUp();
    },
  };
}
