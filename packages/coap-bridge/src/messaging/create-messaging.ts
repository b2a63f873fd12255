import { randomBytes } from "node:crypto";
import {
  type Clock,
  codeOf,
  type Endpoint,
  LOOPBACK,
  type Log,
  networkCheck,
  parseNetwork,
  silentLog,
} from "@nomq/core";
import type { CoapSocket } from "../listen/coap-socket.ts";
import { MessageType } from "../wire/coap-message.ts";
import { classOf, EMPTY } from "../wire/code.ts";
import { HEADER_BYTES, hasHeader, messageIdIn, typeIn } from "../wire/decode.ts";
import { encodeEmpty } from "../wire/encode.ts";
import { AnsweredRequests } from "./answered-requests.ts";
import { Answers } from "./answers.ts";
import { createEchoValues } from "./echo.ts";
import { Exchanges } from "./exchanges.ts";
import { Expectations } from "./expectations.ts";
import { createRateLimit, type RequestLimits } from "./limits.ts";
import { Lines } from "./lines.ts";
import type {
  IncomingResponse,
  Messaging,
  MessagingCounts,
  Outgoing,
  Remote,
  Sent,
  SentOutcome,
  Serve,
} from "./messaging.ts";
import { AMPLIFICATION, DEFAULT_LEISURE_MS, REMEMBERED_CREDIT } from "./parameters.ts";
import { isUsablePort, Peer, readRemoteKey } from "./peer.ts";
import { PeerTable } from "./peer-table.ts";
import { Requests } from "./requests.ts";
import { secureRandom } from "./secure-random.ts";
import { SentMemory } from "./sent-memory.ts";
import { SeparateAnswers } from "./separate-answers.ts";
import { createTally } from "./tally.ts";
import { TimingWheel, WheelTimer } from "./timing-wheel.ts";

/** Options of {@link createMessaging}. */
export interface MessagingOptions {
  readonly clock: Clock;
  /** Answers requests. Absent, as at a socket for requests of ours: a CON is reset, a NON ignored. */
  readonly serve?: Serve;
  /** Default silent. */
  readonly log?: Log;
  /** Uniform in [0, 1): message ids, time-outs, leisure. Default: of node:crypto, which nobody can guess. */
  readonly random?: () => number;
  readonly limits?: RequestLimits;
  /**
   * Networks nobody else can send from, as `ADDRESS/BITS`: what goes there is never limited to three times what came
   * from there. Default loopback, whose addresses no other machine can use.
   */
  readonly trusted?: readonly string[];
  /** Answers to multicast requests are spread over it. Default 5 s. */
  readonly leisureMs?: number;
  /** Of the Echo values. Default random: those of another run are not taken. */
  readonly secret?: Uint8Array;
}

const DEFAULT_UNDER_WAY = 64;
const DEFAULT_UNDER_WAY_IN_ALL = 4096;
/** How often what is too old is looked for. */
const SWEEP_MS = 60_000;

/** Makes the message layer; it has no effects until it listens. */
export function createMessaging(options: MessagingOptions): Messaging {
  return new MessageLayer(options);
}

class Sweep extends WheelTimer {
  readonly fire: () => void;

  constructor(fire: () => void) {
    super();
    this.fire = fire;
  }
}

class MessageLayer implements Messaging {
  readonly #clock: Clock;
  readonly #wheel: TimingWheel;
  readonly #peers: PeerTable;
  readonly #sockets = new Map<string, CoapSocket>();
  readonly #sent = new SentMemory();
  readonly #tally = createTally();
  readonly #lines: Lines;
  readonly #separate: SeparateAnswers;
  readonly #exchanges: Exchanges;
  readonly #requests: Requests | undefined;
  readonly #expectations: Expectations;
  readonly #sweep: Sweep = new Sweep(() => this.#sweepOut());
  #closed = false;

  constructor(options: MessagingOptions) {
    const { clock, serve, log = silentLog, limits = {} } = options;
    const random = options.random ?? secureRandom;
    const networks = (options.trusted ?? LOOPBACK).flatMap((text) => parseNetwork(text) ?? []);
    const now = (): number => clock.monotonic();
    const fault = (error: unknown): void =>
      log.error("a CoAP message could not be served", { error: codeOf(error) });
    const answered = new AnsweredRequests();
    const echo = createEchoValues(options.secret ?? randomBytes(32));
    const answers = new Answers({ answered, sent: this.#sent, now });
    this.#clock = clock;
    this.#wheel = new TimingWheel(clock);
    this.#peers = new PeerTable({ random, isTrusted: networkCheck(networks) });
    const shared = { wheel: this.#wheel, random, now, tally: this.#tally, fault };
    this.#lines = new Lines({ ...shared, sent: this.#sent, proved: (peer) => this.#exchanges.proved(peer) });
    this.#separate = new SeparateAnswers(shared);
    const leisureMs = options.leisureMs ?? DEFAULT_LEISURE_MS;
    this.#exchanges = new Exchanges({
      ...{ ...shared, lines: this.#lines, separate: this.#separate, answers, echo, leisureMs },
      serve: serve ?? (() => undefined),
    });
    this.#expectations = new Expectations({ answered, lines: this.#lines, tally: this.#tally, fault });
    this.#requests =
      serve &&
      new Requests({
        ...{ serve, answered, answers, echo, fault, tally: this.#tally },
        ...{ exchanges: this.#exchanges, lines: this.#lines, rate: createRateLimit(limits) },
        underWay: limits.underWay ?? DEFAULT_UNDER_WAY,
        underWayInAll: limits.underWayInAll ?? DEFAULT_UNDER_WAY_IN_ALL,
      });
  }

  listen(socket: CoapSocket): void {
    this.#sockets.set(socket.name, socket);
    socket.onDatagram((datagram, address, { port, toGroup }) => {
      if (!this.#closed) this.#receive(datagram, { socket, address, port, toGroup });
    });
  }

  send(to: Remote, next: () => Outgoing | undefined, ended: (outcome: SentOutcome) => void): Sent {
    const peer = this.#live(to);
    if (peer === undefined) {
      ended("timeout");
      return { cancel: () => undefined };
    }
    return this.#lines.send(peer, next, ended);
  }

  expect(from: Remote, token: Uint8Array, take: (response: IncomingResponse) => void): { end(): void } {
    const peer = this.#live(from);
    return peer === undefined ? { end: () => undefined } : this.#expectations.expect(peer, token, take);
  }

  remoteAt({ host, port }: Endpoint, via?: string): Remote | undefined {
    const [first] = this.#sockets.values();
    const socket = via === undefined ? first : this.#sockets.get(via);
    const address = socket?.addressOf(host);
    if (socket === undefined || address === undefined || !isUsablePort(port)) return undefined;
    const peer = this.#peers.get(socket, address, port);
    if (peer !== undefined && peer.seenAt === 0) {
      peer.seenAt = this.#clock.monotonic();
      peer.credit = Math.max(peer.credit, REMEMBERED_CREDIT);
    }
    return peer;
  }

  remote(key: string): Remote | undefined {
    const read = readRemoteKey(key);
    return read && this.remoteAt(read, read.via);
  }

  counts(): MessagingCounts {
    return { ...this.#tally, remotes: this.#peers.size };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#exchanges.close(this.#peers.values());
    this.#separate.close(this.#peers.values());
    this.#lines.close(this.#peers.values());
    this.#wheel.stop();
  }

  /** A remote that was forgotten meanwhile is another object now. */
  #live(remote: Remote): Peer | undefined {
    if (remote instanceof Peer && !remote.forgotten) return remote;
    const again = this.remote(remote.key);
    return again instanceof Peer ? again : undefined;
  }

  #receive(datagram: Uint8Array, from: Arriving): void {
    // Nothing can be sent to port 0.
    if (!isUsablePort(from.port)) this.#tally.dropped += 1;
    else if (!hasHeader(datagram)) this.#tally.malformed += 1;
    else if (datagram[1] === EMPTY) this.#receiveEmpty(datagram, from);
    else this.#receiveCode(datagram, from);
  }

  /** A ping gets a reset, an empty NON nothing (section 4.3); acknowledgements and resets find what they are of. */
  #receiveEmpty(datagram: Uint8Array, from: Arriving): void {
    const type = typeIn(datagram);
    const isWellFormed = datagram.length === HEADER_BYTES && ((datagram[0] ?? 0) & 15) === 0;
    if (!isWellFormed) this.#tally.malformed += 1;
    if (type === MessageType.confirmable) this.#reject(datagram, from);
    if (!isWellFormed || from.toGroup) return;
    const peer = this.#peers.find(from.socket, from.address, from.port);
    if (peer === undefined) return;
    peer.seenAt = this.#clock.monotonic();
    this.#heard(peer, messageIdIn(datagram), type);
  }

  #heard(peer: Peer, messageId: number, type: MessageType): void {
    if (type === MessageType.acknowledgement) {
      if (!this.#separate.heard(peer, messageId, "acknowledged")) this.#lines.acknowledged(peer, messageId);
    } else if (type === MessageType.reset) {
      if (!this.#separate.heard(peer, messageId, "reset")) this.#lines.reset(peer, messageId);
    }
  }

  #receiveCode(datagram: Uint8Array, from: Arriving): void {
    const type = typeIn(datagram);
    const codeClass = classOf(datagram[1] ?? 0);
    const isRequest = codeClass === 0;
    const isReserved = codeClass === 1 || codeClass > 5;
    const isOwnAnswer = type === MessageType.acknowledgement || type === MessageType.reset;
    if (isReserved || type === MessageType.reset || (isRequest && isOwnAnswer)) {
      this.#tally.malformed += 1;
      if (type === MessageType.confirmable) this.#reject(datagram, from);
      return;
    }
    if (isRequest && this.#requests === undefined) {
      if (type === MessageType.confirmable) this.#reject(datagram, from);
      return;
    }
    // Nobody answers to a group.
    if (!isRequest && from.toGroup) return;
    const now = this.#clock.monotonic();
    const peer = this.#arrived(datagram, from, now);
    if (peer === undefined) this.#tally.dropped += 1;
    else if (isRequest) this.#requests?.receive(peer, datagram, { now, toGroup: from.toGroup });
    else this.#expectations.receive(peer, datagram, now);
  }

  #arrived(datagram: Uint8Array, { socket, address, port }: Arriving, now: number): Peer | undefined {
    const peer = this.#peers.get(socket, address, port);
    if (peer === undefined) return undefined;
    peer.seenAt = now;
    if (!peer.proven) peer.credit += AMPLIFICATION * datagram.length;
    if (this.#sweep.tick === -1) this.#wheel.arm(this.#sweep, SWEEP_MS);
    return peer;
  }

  /** Said without knowing the remote: a flood of these leaves nothing behind. */
  #reject(datagram: Uint8Array, { socket, address, port, toGroup }: Arriving): void {
    if (!toGroup) socket.send(encodeEmpty(MessageType.reset, messageIdIn(datagram)), port, address);
  }

  #sweepOut(): void {
    const now = this.#clock.monotonic();
    this.#peers.sweep(now);
    this.#sent.sweep(now);
    if (this.#peers.size > 0) this.#wheel.arm(this.#sweep, SWEEP_MS);
  }
}

/** Where a datagram came from, and to what. */
interface Arriving {
  readonly socket: CoapSocket;
  readonly address: string;
  readonly port: number;
  readonly toGroup: boolean;
}
