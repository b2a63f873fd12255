import type { Outgoing, SentOutcome } from "./messaging.ts";
import type { Peer } from "./peer.ts";
import { Sending, type SendingLine } from "./sending.ts";
import type { Tally } from "./tally.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** What separate answers need. */
export interface SeparateAnswersUse {
  readonly wheel: TimingWheel;
  readonly random: () => number;
  readonly tally: Tally;
  /** Told of what an `ended` threw. */
  readonly fault: (error: unknown) => void;
}

/**
 * Separate answers on their way, each repeated by itself until it is acknowledged (RFC 7252 section 5.2.2). None waits for
 * another message of ours: NSTART limits what clients ask (section 4.7), and what we tell unasked (RFC 7641 section 4.5.1).
 * Behind one whose acknowledgement was lost, and of whose copies libcoap 4.3.1 acknowledges none, others would wait 93 s.
 */
export class SeparateAnswers implements SendingLine {
  readonly #use: SeparateAnswersUse;
  #closed = false;

  constructor(use: SeparateAnswersUse) {
    this.#use = use;
  }

  /** Sends a CON to a remote that has proved itself. */
  send(peer: Peer, outgoing: Outgoing, ended: (outcome: SentOutcome) => void): void {
    const sending = new Sending(peer, { next: () => outgoing, ended }, this);
    if (this.#closed) {
      this.#tell(sending, "cancelled");
      return;
    }
    sending.state = "flying";
    sending.load(outgoing);
    peer.separate ??= [];
    peer.separate.push(sending);
    peer.pins += 1;
    this.#transmit(sending);
    this.#use.wheel.arm(sending, sending.nextTimeout(this.#use.random) ?? 0);
  }

  /** The remote has acknowledged or reset a message id. False: it is none of these. */
  heard(peer: Peer, messageId: number, outcome: "acknowledged" | "reset"): boolean {
    const sending = peer.separate?.find((each) => each.messageId === messageId);
    if (sending === undefined) return false;
    this.#end(sending, outcome);
    return true;
  }

  overdue(sending: Sending): void {
    const timeout = sending.nextTimeout(this.#use.random);
    if (timeout === undefined) {
      this.#use.tally.timeouts += 1;
      this.#end(sending, "timeout");
      return;
    }
    this.#use.tally.repeated += 1;
    this.#transmit(sending);
    this.#use.wheel.arm(sending, timeout);
  }

  cancelled(sending: Sending): void {
    this.#end(sending, "cancelled");
  }

  /** Nothing is sent or repeated any more; what was under way is told `cancelled`. */
  close(peers: Iterable<Peer>): void {
    this.#closed = true;
    for (const { separate = [] } of peers) {
      for (const sending of [...separate]) this.#end(sending, "cancelled");
    }
  }

  #transmit({ peer, datagram }: Sending): void {
    if (datagram !== undefined) peer.transmit(datagram);
  }

  #end(sending: Sending, outcome: SentOutcome): void {
    if (sending.state === "ended") return;
    const { peer } = sending;
    this.#use.wheel.disarm(sending);
    const others = peer.separate?.filter((each) => each !== sending) ?? [];
    peer.separate = others.length === 0 ? undefined : others;
    peer.pins -= 1;
    this.#tell(sending, outcome);
  }

  #tell(sending: Sending, outcome: SentOutcome): void {
    sending.state = "ended";
    sending.datagram = undefined;
    try {
      sending.ended(outcome);
    } catch (error) {
      this.#use.fault(error);
    }
  }
}
