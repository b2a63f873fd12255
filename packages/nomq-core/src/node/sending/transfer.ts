import type { CancelTimer, Clock } from "../../clock.ts";
import { UNHEARD_OFFSETS } from "../../session/clock-offset.ts";
import { createSealedCopies } from "../../session/sealed-copies.ts";
import {
  FIRST_WAIT_MS,
  type SendInput,
  type SendOutcome,
  type SendPlan,
  type SendState,
  stepSender,
} from "../../session/sender.ts";
import type { Endpoint } from "../../transport.ts";
import type { PublishOutcome } from "../contract.ts";
import type { OwnSessions } from "../own-sessions.ts";
import { fellSilent, type PeerEntry, type Turn } from "../peers/peer-entry.ts";
import type { NodeTime } from "../time.ts";
import type { Turns } from "./turns.ts";
import type { Outbound, Wire } from "./wire.ts";

/** How often a message is sent before it is unanswered: about half a minute, two minutes. */
const ATTEMPTS = { device: 5, node: 8 } as const;

/** A message to one peer. */
export interface Departure {
  readonly peer: PeerEntry;
  /** Its name: messages of one channel keep their order. */
  readonly channel: string;
  readonly message: Omit<Outbound, "packetId" | "sessionId">;
  readonly packetId?: number;
  /** Default: of now. */
  readonly sessionId?: number;
  /** Seconds; undefined: says 3,600 and does not expire. */
  readonly ttl: number | undefined;
  readonly signal?: AbortSignal;
}

/** What one transfer works with. */
export interface TransferUse {
  readonly clock: Clock;
  readonly wire: Wire;
  readonly sessions: OwnSessions;
  readonly time: NodeTime;
  readonly turns: Turns;
  /** A transfer has ended, and nothing was heard of its peer all the while. */
  readonly silent: (peer: PeerEntry, how: "perhaps" | "surely") => void;
}

const ENDED_BY_US: ReadonlySet<string> = new Set(["aborted", "closed"]);

/** One message on its way to one peer. */
export class Transfer {
  readonly peer: PeerEntry;
  whenDone: (outcome: PublishOutcome) => void = () => undefined;
  readonly #use: TransferUse;
  readonly #departure: Departure;
  readonly #message: Outbound;
  /** Absent at QoS 0. */
  readonly #plan: SendPlan | undefined;
  readonly #deadline: number | undefined;
  readonly #copies = createSealedCopies();
  #state: SendState = { is: "waiting" };
  #timer: CancelTimer | undefined;
  /** When a datagram first left, monotonic milliseconds. */
  #firstAt: number | undefined;
  #firstTo: Endpoint | undefined;

  constructor(use: TransferUse, departure: Departure, ids: { packetId: number; sessionId: number }) {
    const { peer, message, ttl } = departure;
    this.#use = use;
    this.peer = peer;
    this.#departure = departure;
    this.#message = { ...message, ...ids };
    // Now or never: within the time one answer takes.
    const lasts = ttl === 0 ? FIRST_WAIT_MS : ttl === undefined ? undefined : ttl * 1000;
    this.#deadline = lasts === undefined ? undefined : use.clock.monotonic() + lasts;
    const deadline = this.#deadline === undefined ? {} : { deadline: this.#deadline };
    const attempts = ttl === 0 ? 1 : ATTEMPTS[peer.kind];
    this.#plan = message.qos === 0 ? undefined : { qos: message.qos, attempts, ...deadline };
  }

  begin(): boolean {
    this.peer.open += 1;
    const onAbort = (): void => this.abort("aborted");
    const taken = this.#use.turns.take(this.peer, this.#place());
    if (!taken) {
      this.peer.open -= 1;
      return false;
    }
    if (this.#state.is !== "done") this.#departure.signal?.addEventListener("abort", onAbort, { once: true });
    const finish = this.whenDone;
    this.whenDone = (outcome) => {
      this.#departure.signal?.removeEventListener("abort", onAbort);
      finish(outcome);
    };
    return true;
  }

  answered(type: "ACK" | "PUBREC" | "PUBCOMP"): void {
    const before = this.#state;
    this.#step({ on: "reply", type, now: this.#use.clock.monotonic(), jitter: this.#jitter() });
    if (this.#state !== before) this.#use.turns.answered(this.peer);
  }

  /** The peer was away and is there again. */
  hurry(): void {
    this.#step({ on: "heard", now: this.#use.clock.monotonic() });
  }

  abort(reason: string): void {
    if (this.#plan === undefined) this.#end({ is: "unanswered", reason });
    else this.#step({ on: "abort", kind: this.peer.kind });
  }

  #place(): Turn {
    const { channel, message } = this.#departure;
    return { run: () => this.#turn(), channel, priority: message.priority };
  }

  /** The peer's turn: returns how long an answer is awaited. */
  #turn(): number {
    if (this.#state.is === "done") return 0;
    if (this.#plan === undefined) {
      this.#sendOnce();
      return 0;
    }
    const now = this.#use.clock.monotonic();
    this.#step({ on: "due", now, jitter: this.#jitter(), kind: this.peer.kind });
    // A device that does not answer in time may get the next message; the lock is for one round trip only.
    return this.#isDone() ? 0 : FIRST_WAIT_MS;
  }

  #jitter(): number {
    return this.#use.wire.freshId() / 2 ** 32;
  }

  #isDone(): boolean {
    return this.#state.is === "done";
  }

  #sendOnce(): void {
    const expired = this.#deadline !== undefined && this.#use.clock.monotonic() >= this.#deadline;
    if (!expired) for (const clock of this.#clocks()) this.#put(this.#seal(clock));
    this.#end({ is: expired ? "expired" : "delivered" });
  }

  #step(input: SendInput): void {
    if (this.#plan === undefined || this.#state.is === "done") return;
    const { state, effect } = stepSender(this.#plan, this.#state, input);
    this.#state = state;
    if (effect?.send === "message") this.#sendMessage(effect.bytes);
    else if (effect?.send === "PUBREL") this.#release();
    if (state.is === "done") this.#end(state.outcome);
    else if (state.is !== "waiting") this.#wakeAt(state.dueAt);
  }

  #wakeAt(at: number): void {
    this.#timer?.();
    const { clock, turns } = this.#use;
    this.#timer = clock.after(at - clock.monotonic(), () => {
      this.#timer = undefined;
      if (!turns.take(this.peer, this.#place())) this.#wakeAt(clock.monotonic() + FIRST_WAIT_MS);
    });
  }

  #sendMessage(bytes: "fresh" | "again"): void {
    const attempt = this.#state.is === "publishing" ? this.#state.attempt : 1;
    const clocks = this.#clocks();
    const clock = clocks[(attempt - 1) % clocks.length] ?? 0;
    if (bytes === "fresh") {
      this.#put(this.#seal(clock));
      return;
    }
    const { time } = this.#use;
    const at = { now: time.monotonic(), deviceSeconds: time.seconds() + clock };
    this.#put(this.#copies.copyFor(at, () => this.#seal(clock)));
  }

  #release(): void {
    const { packetId, channelId, sessionId } = this.#message;
    this.#use.wire.reply(this.peer, {
      type: "PUBREL",
      packetId,
      channelId,
      sessionId,
      to: this.peer.address,
    });
  }

  /** A device that was never heard may count from either epoch; one not heard since a step, from either side of it. */
  #clocks(): readonly number[] {
    // A step of our clock found in reading it changes the peer's.
    this.#use.time.seconds();
    const { clock, formerClock } = this.peer;
    if (clock !== undefined) return formerClock === undefined ? [clock] : [clock, formerClock];
    return this.peer.kind === "node" ? [0] : UNHEARD_OFFSETS;
  }

  #seal(clock: number): Uint8Array {
    const left = this.#deadline === undefined ? undefined : this.#deadline - this.#use.clock.monotonic();
    const { ttl } = this.#departure;
    const remaining = ttl === 0 ? 0 : left === undefined ? undefined : left / 1000;
    return this.#use.wire.seal(this.peer, this.#message, { clock, ttl: remaining });
  }

  /** Whether nothing at all came from the peer since the message was first sent. */
  #wasSilent(): boolean {
    const { heardAt } = this.peer;
    return this.#firstAt !== undefined && (heardAt === undefined || heardAt < this.#firstAt);
  }

  #tellSilence(outcome: SendOutcome): void {
    const isAborted = "reason" in outcome && ENDED_BY_US.has(outcome.reason);
    if (outcome.is === "delivered" || isAborted) return;
    fellSilent(this.peer, this.#firstTo);
    this.#use.silent(this.peer, outcome.is === "expired" ? "perhaps" : "surely");
  }

  #put(datagram: Uint8Array): void {
    this.#firstAt ??= this.#use.clock.monotonic();
    this.#firstTo ??= this.peer.address;
    this.#use.sessions.used(this.#message.sessionId);
    this.#use.wire.send(this.peer, datagram);
  }

  #end(outcome: SendOutcome): void {
    this.#state = { is: "done", outcome };
    this.#timer?.();
    this.#timer = undefined;
    this.peer.open -= 1;
    if (this.#wasSilent()) this.#tellSilence(outcome);
    const { packetId, sessionId } = this.#message;
    this.whenDone({ ...outcome, packetId, sessionId, sent: this.#firstAt !== undefined });
  }
}
