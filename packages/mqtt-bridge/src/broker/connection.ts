import type { Clock, Principal } from "@nomq/core";
import type { Enter, Entrance } from "../access/login.ts";
import type { SessionRefusal } from "../clients/session-rights.ts";
import type { Counters } from "../counters.ts";
import { examineConnect } from "../front/connect.ts";
import type { FrameFault } from "../front/frames.ts";
import { createFrameCutter } from "../front/frames.ts";
import type { Front, FrontOptions } from "../front/front.ts";
import { createFront } from "../front/front.ts";
import type { ProtocolVersion } from "../front/packets.ts";
import { REASON, refusingConnack } from "../front/packets.ts";
import type { WriteTurn } from "../front/writer.ts";
import { createWriter } from "../front/writer.ts";
import type { Arrival } from "../listen/arrival.ts";

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
  readonly enter: Enter;
  /** A refusal that an operator may want to know of; `who` where the client has said its name. */
  refused(reason: string, arrival: Arrival, who?: string): void;
  /** Why a CONNECT of this principal is refused, if it is. */
  refuseSession(connect: FrontOptions["connect"], principal: Principal): SessionRefusal | undefined;
  sessionPresent(connect: FrontOptions["connect"]): boolean;
  /** CONNECT is accepted: aedes takes over. `frame` is the CONNECT. */
  accepted(front: Front, frame: Buffer): void;
  subscriptions(front: () => Front, principal: Principal): FrontOptions["subscriptions"];
  /** What of the session behind the front lasts. */
  durable(front: () => Front): FrontOptions["durable"];
  retainedSent(front: Front, frame: Buffer, id: number): void;
  /** The bridge is stopping: nobody waits for the other side any more. */
  isStopping(): boolean;
  failed(error: unknown): void;
  /** Without a front: it was never let in. */
  closed(front: Front | undefined): void;
}

/** A CONNECT that can be understood. */
interface Connecting {
  readonly packet: FrontOptions["connect"];
  readonly version: ProtocolVersion;
}

/** Takes a socket: checks its CONNECT, then stands between it and aedes. */
export function takeConnection(arrival: Arrival, options: ConnectionOptions): Connection {
  const { socket, listener } = arrival;
  const { clock, counters } = options;
  let front: Front | undefined;
  /** Packets that came with a CONNECT whose login is being checked. */
  let held: Buffer[] | undefined;
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
  const refuse = (reason: string, frame?: Buffer, who?: string): void => {
    if (hasHungUp) return;
    counters.add("clientsRefused", reason);
    options.refused(reason, arrival, who);
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
    const entrance = options.enter(examined.packet, arrival.address);
    if (!(entrance instanceof Promise)) {
      admit(frame, examined, entrance);
      return;
    }
    // What follows waits for the login, and nothing more is read meanwhile.
    held = [];
    socket.pause();
    entrance.then(
      (decided) => guard(() => loggedIn(frame, examined, decided)),
      (error: unknown) => {
        options.failed(error);
        refuse("login-failed", refusingConnack(version, REASON.serverUnavailable));
      },
    );
  };
  const loggedIn = (frame: Buffer, connecting: Connecting, entrance: Entrance): void => {
    const waiting = held ?? [];
    held = undefined;
    if (hasHungUp) return;
    socket.resume();
    admit(frame, connecting, entrance);
    for (const each of waiting) if (!hasHungUp) front?.receive(each);
  };
  const admit = (frame: Buffer, { packet, version }: Connecting, entrance: Entrance): void => {
    if (entrance.is === "refused") {
      refuse(entrance.reason, refusingConnack(version, entrance.code), entrance.who);
      return;
    }
    const { principal } = entrance;
    const refusal = options.refuseSession(packet, principal);
    if (refusal !== undefined) {
      refuse(refusal.reason, refusingConnack(version, refusal.code), principal);
      return;
    }
    cancelConnect();
    const made = makeFront({ packet, version }, entrance);
    front = made;
    options.accepted(made, frame);
  };
  const makeFront = (
    { packet, version }: Connecting,
    { principal, isValid }: Entrance & { is: "admitted" },
  ): Front => {
    const made: Front = createFront({
      connect: packet,
      version,
      principal,
      isValid,
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
      durable: options.durable(() => made),
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

  const mostBytes = (): number => {
    const isBefore = front === undefined && held === undefined;
    return isBefore ? Math.min(CONNECT_BYTES, listener.maxPayload) : listener.maxPayload;
  };
  const cutter = createFrameCutter(mostBytes, (frame) => {
    if (hasHungUp) return;
    if (held !== undefined) held.push(frame);
    else if (front === undefined) connect(frame);
    else front.receive(frame);
  });
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
