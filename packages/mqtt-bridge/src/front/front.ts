import { Duplex } from "node:stream";
import type { Clock, Principal } from "@nomq/core";
import type { IConnectPacket } from "mqtt-packet";
import type { Counters } from "../counters.ts";
import type { ListenerSettings } from "../options.ts";
import { createEnding, type Ending } from "./ending.ts";
import { createFrameCutter } from "./frames.ts";
import type { Durable } from "./gate.ts";
import { createInboundWindow } from "./inbound-window.ts";
import type { Input, PauseReason } from "./input.ts";
import { createInput } from "./input.ts";
import { createOutbound, type OutboundProgress } from "./outbound.ts";
import type { ProtocolVersion, Verdict } from "./packets.ts";
import { acknowledgement, disconnectFrame, REASON } from "./packets.ts";
import type { DeskOptions } from "./subscriptions.ts";
import { createSubscriptionDesk } from "./subscriptions.ts";
import type { Writer } from "./writer.ts";

/** Unacknowledged publishes taken from one MQTT 5 client: its Receive Maximum (MQTT 5.0 section 3.2.2.3.3). */
export const RECEIVE_MAXIMUM = 256;
/** The stream between a client's socket and aedes. It works on whole packets. */
export interface Front extends Omit<Input, "close">, Ending {
  /** What aedes reads and writes. */
  readonly stream: Duplex;
  readonly version: ProtocolVersion;
  readonly principal: Principal;
  /** False once its account is gone or has another password. */
  isValid(): boolean;
  readonly connect: IConnectPacket;
  readonly listener: ListenerSettings;
  /** Resolves when there is room for one more stored or retained message, or the connection is over. */
  room(): Promise<void>;
  progress(): OutboundProgress;
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
  readonly isValid: () => boolean;
  readonly listener: ListenerSettings;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly writer: Writer;
  /** Whether an earlier session is resumed. */
  readonly sessionPresent: boolean;
  readonly subscriptions: Pick<DeskOptions, "held" | "hasRoom" | "may">;
  /** Reading from the socket. */
  read(on: boolean): void;
  readonly durable: Durable;
  /** A retained message at QoS 1 or 2 leaves under this id. */
  retainedSent(frame: Buffer, id: number): void;
  /** Nothing more to write: end the socket. */
  hangUp(): void;
}

/** Makes the front of a connection whose CONNECT has been accepted. */
export function createFront(options: FrontOptions): Front {
  const { connect, version, counters, listener, principal, isValid, writer } = options;
  let over = false;
  const ending = createEnding();
  const pausedBy = new Set<PauseReason>();

  const pause = (why: PauseReason, on: boolean): void => {
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
  const sayGoodbye = (code: number): void => {
    if (version === 5 && outbound.isConnected()) writer.write(disconnectFrame(code));
  };
  const cut = (code: number, reason: string): void => {
    if (over) return;
    counters.add("connectionsCut", reason);
    ending.endsFor(reason);
    sayGoodbye(code);
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
  const afterStored = (run: () => void): void => {
    const stored = options.durable.stored();
    if (stored === undefined) run();
    else
      stored.then(
        () => (over ? undefined : run()),
        () => undefined,
      );
  };
  const send = (frame: Buffer): void => afterStored(() => toClient(frame));
  const desk = createSubscriptionDesk({ ...options.subscriptions, version, persistent, send });
  const ways = { version, afterStored, inbound, desk, toAedes, toClient, cut, pause, ...ending };
  const outbound = createOutbound({ ...options, ...ways });
  const cutter = createFrameCutter(() => Number.POSITIVE_INFINITY, outbound.frame);
  const input = createInput({ ...ways, outbound, end: () => stream.push(null) });
  const stream = createStream({
    read: () => pause("aedes", false),
    written: (bytes) => {
      if (!over) cutter.push(bytes);
    },
    destroyed: (error) => {
      if (!over && error !== null) {
        counters.add("connectionsCut", "failure");
        const isLate = error.message === "keep alive timeout";
        ending.endsFor(isLate ? "keep-alive" : "failure");
        sayGoodbye(isLate ? REASON.keepAliveTimeout : REASON.malformedPacket);
      }
      ending.endsFor("closed");
      over = true;
      input.close();
      outbound.close();
      options.hangUp();
    },
  });

  return {
    ...{ stream, version, principal, isValid, connect, listener },
    ...input,
    room: outbound.room,
    progress: outbound.progress,
    drained() {
      pause("behind", false);
      outbound.drained();
    },
    cut,
    ...ending,
    isOver: () => over,
  };
}

/** The stream that aedes takes for a socket. */
function createStream(events: {
  read(): void;
  written(bytes: Buffer): void;
  destroyed(error: Error | null): void;
}): Duplex {
  const stream = new Duplex({
    // aedes must never wait for a slow reader: what it writes is taken at once and bounded here.
    writableHighWaterMark: 2 ** 30,
    read: events.read,
    write: (chunk: Buffer, _encoding, done) => {
      events.written(chunk);
      done();
    },
    writev: (chunks, done) => {
      events.written(Buffer.concat(chunks.map(({ chunk }: { chunk: Buffer }) => chunk)));
      done();
    },
    destroy: (error, done) => {
      events.destroyed(error);
      done(null);
    },
  });
  stream.on("error", () => undefined);
  return stream;
}
