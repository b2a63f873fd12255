import { MessageType } from "../wire/coap-message.ts";
import { classOf } from "../wire/code.ts";
import { mustProve, PING, transmitAgain, transmitFirst } from "./credit.ts";
import type { Outgoing, SentOutcome } from "./messaging.ts";
import { PING_AGAIN_MS } from "./parameters.ts";
import type { Peer } from "./peer.ts";
import { Sending, type SendingLine, saysTheSame } from "./sending.ts";
import type { SentMemory } from "./sent-memory.ts";
import type { Tally } from "./tally.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** Addresses that requests make us ping at once: a flood of forged ones must not use up what others need. */
const MOST_PINGS = 1024;
/** Somebody who does not see our message ids has this many guesses in 65,536. */
const MOST_MISSES = 8;

/** What lines need. */
export interface LinesUse {
  readonly wheel: TimingWheel;
  readonly random: () => number;
  readonly now: () => number;
  readonly sent: SentMemory;
  readonly tally: Tally;
  /** Told when a remote has proved that it receives what goes to its address. */
  readonly proved: (peer: Peer) => void;
  /** Told of what an `ended` or `next` threw. */
  readonly fault: (error: unknown) => void;
}

/** One line of notifications and requests of ours to each remote: one CON in flight, the others behind it (RFC 7252 sections 4.2, 4.7). */
export class Lines implements SendingLine {
  readonly #use: LinesUse;
  #closed = false;
  #pings = 0;

  constructor(use: LinesUse) {
    this.#use = use;
  }

  send(peer: Peer, next: () => Outgoing | undefined, ended: (outcome: SentOutcome) => void): Sending {
    const sending = new Sending(peer, { next, ended }, this);
    if (this.#closed) {
      sending.state = "ended";
      this.#tell(ended, "cancelled");
      return sending;
    }
    this.#enqueue(sending);
    if (peer.flying === undefined && !peer.advancing) this.#advance(peer);
    return sending;
  }

  /**
   * Makes a remote prove itself before it gets an answer: a ping, or another copy of the one in flight; a CON in flight
   * proves as much. False where there are too many of these, or nobody can be expected to answer.
   */
  challenge(peer: Peer): boolean {
    if (peer.flying === undefined && this.#pings >= MOST_PINGS) return false;
    return this.#prove(peer);
  }

  /** The answer is not waiting any more: nor is the ping worth repeating. */
  unchallenge({ flying, firstWaiting }: Peer): void {
    if (flying?.outgoing === PING && firstWaiting === undefined) this.cancelled(flying);
  }

  /** The remote has shown that it receives what goes to its address. */
  proven(peer: Peer): void {
    if (peer.proven) return;
    peer.proven = true;
    this.#use.proved(peer);
  }

  /** The remote has acknowledged, or answered under, a message id. Answers whether it was that of the CON in flight. */
  acknowledged(peer: Peer, messageId: number): boolean {
    const { flying } = peer;
    if (flying === undefined || !this.#isOf(flying, messageId)) {
      this.#missed(peer);
      return false;
    }
    this.proven(peer);
    // An older one: what it says now is still on its way.
    if (flying.messageId === messageId) this.#end(flying, "acknowledged");
    return true;
  }

  reset(peer: Peer, messageId: number): void {
    const { flying } = peer;
    if (flying !== undefined && this.#isOf(flying, messageId)) {
      this.proven(peer);
      this.#end(flying, "reset");
      return;
    }
    const sent = this.#use.sent.take(peer, messageId);
    if (sent === undefined) {
      this.#missed(peer);
      return;
    }
    this.proven(peer);
    if (sent instanceof Sending && sent.state === "ended") return;
    this.#tell(sent.ended, "reset");
  }

  /** A response has come to a request in flight: that acknowledges it as well (section 5.2.2). */
  responded(peer: Peer, token: Uint8Array): void {
    const { flying } = peer;
    if (flying?.outgoing === undefined || classOf(flying.outgoing.code) !== 0 || flying.outgoing === PING)
      return;
    if (Buffer.compare(flying.outgoing.token, token) === 0) this.#end(flying, "acknowledged");
  }

  overdue(sending: Sending): void {
    const { peer } = sending;
    const timeout = sending.nextTimeout(this.#use.random);
    if (timeout === undefined) {
      this.#use.tally.timeouts += 1;
      if (sending.outgoing === PING) this.#giveUp(peer);
      this.#end(sending, "timeout");
      return;
    }
    const outgoing = this.#ask(sending);
    if (outgoing === undefined) {
      this.#end(sending, "cancelled");
      return;
    }
    if (sending.outgoing === undefined || !saysTheSame(sending.outgoing, outgoing)) sending.load(outgoing);
    this.#use.tally.repeated += 1;
    transmitAgain(sending);
    this.#use.wheel.arm(sending, timeout);
  }

  cancelled(sending: Sending): void {
    if (sending.state === "waiting") this.#unlink(sending);
    const wasFlying = sending.state === "flying";
    sending.state = "ended";
    if (wasFlying) this.#land(sending);
  }

  /** Nothing is repeated or sent any more; what was under way is told `cancelled`. */
  close(peers: Iterable<Peer>): void {
    this.#closed = true;
    for (const peer of peers) {
      this.#giveUp(peer, "cancelled");
      if (peer.flying !== undefined) this.#end(peer.flying, "cancelled");
    }
  }

  #advance(peer: Peer): void {
    peer.advancing = true;
    while (peer.flying === undefined && peer.firstWaiting !== undefined && !this.#closed) {
      this.#start(peer.firstWaiting);
    }
    peer.advancing = false;
  }

  #start(sending: Sending): void {
    const { peer } = sending;
    const outgoing = this.#ask(sending);
    // Asking may have cancelled it.
    if (sending.state !== "waiting") return;
    if (outgoing !== undefined && mustProve(peer, outgoing)) {
      if (!this.#prove(peer)) this.#giveUp(peer);
      return;
    }
    this.#unlink(sending);
    if (outgoing === undefined) {
      sending.state = "ended";
      this.#tell(sending.ended, "cancelled");
      return;
    }
    if (outgoing.type === MessageType.confirmable) this.#fly(sending, outgoing);
    else this.#sendOnce(sending, outgoing);
  }

  #sendOnce(sending: Sending, outgoing: Outgoing): void {
    sending.load(outgoing);
    sending.state = "sent";
    this.#use.sent.add(sending.messageId, sending, this.#use.now());
    transmitFirst(sending);
    sending.datagram = undefined;
    this.#tell(sending.ended, "sent");
  }

  #fly(sending: Sending, outgoing: Outgoing): void {
    const { peer } = sending;
    sending.state = "flying";
    sending.load(outgoing);
    peer.flying = sending;
    peer.pins += 1;
    transmitFirst(sending);
    this.#use.wheel.arm(sending, sending.nextTimeout(this.#use.random) ?? 0);
  }

  #prove(peer: Peer): boolean {
    if (this.#closed || peer.misses >= MOST_MISSES) return false;
    const { flying } = peer;
    if (flying === undefined) this.#ping(peer);
    else if (flying.outgoing === PING) transmitAgain(flying);
    return true;
  }

  #ping(peer: Peer): void {
    this.#pings += 1;
    const proofless = (outcome: SentOutcome): void => {
      if (outcome === "timeout") peer.misses = MOST_MISSES;
    };
    const sending = new Sending(peer, { next: () => PING, ended: proofless }, this);
    this.#fly(sending, PING);
    // One more than other messages have, and sooner; then as theirs.
    sending.timeoutMs = 0;
    this.#use.wheel.arm(sending, PING_AGAIN_MS);
  }

  #isOf(flying: Sending, messageId: number): boolean {
    return flying.messageId === messageId || flying.olderMessageIds?.includes(messageId) === true;
  }

  #missed(peer: Peer): void {
    if (peer.proven) return;
    peer.misses += 1;
    if (peer.misses < MOST_MISSES || peer.flying?.outgoing !== PING) return;
    this.#giveUp(peer);
    this.#end(peer.flying, "timeout");
  }

  /** Nobody is there: what waits would not arrive either. */
  #giveUp(peer: Peer, outcome: SentOutcome = "timeout"): void {
    for (let waiting = peer.firstWaiting; waiting !== undefined; waiting = peer.firstWaiting) {
      this.#unlink(waiting);
      waiting.state = "ended";
      this.#tell(waiting.ended, outcome);
    }
  }

  #end(sending: Sending, outcome: SentOutcome): void {
    sending.state = "ended";
    const { peer } = sending;
    this.#use.wheel.disarm(sending);
    if (peer.flying === sending) {
      peer.flying = undefined;
      peer.pins -= 1;
    }
    sending.datagram = undefined;
    if (sending.outgoing === PING) this.#pings -= 1;
    this.#tell(sending.ended, outcome);
    if (peer.flying === undefined && !peer.advancing) this.#advance(peer);
  }

  #land(sending: Sending): void {
    const { peer } = sending;
    if (sending.outgoing === PING) this.#pings -= 1;
    this.#use.wheel.disarm(sending);
    peer.flying = undefined;
    peer.pins -= 1;
    if (!peer.advancing) this.#advance(peer);
  }

  #enqueue(sending: Sending): void {
    const { peer } = sending;
    sending.ahead = peer.lastWaiting;
    if (peer.lastWaiting === undefined) peer.firstWaiting = sending;
    else peer.lastWaiting.behind = sending;
    peer.lastWaiting = sending;
    peer.pins += 1;
  }

  #unlink(sending: Sending): void {
    const { peer, ahead, behind } = sending;
    if (ahead === undefined) peer.firstWaiting = behind;
    else ahead.behind = behind;
    if (behind === undefined) peer.lastWaiting = ahead;
    else behind.ahead = ahead;
    sending.ahead = undefined;
    sending.behind = undefined;
    peer.pins -= 1;
  }

  #ask(sending: Sending): Outgoing | undefined {
    try {
      return sending.next();
    } catch (error) {
      this.#use.fault(error);
      return undefined;
    }
  }

  #tell(ended: (outcome: SentOutcome) => void, outcome: SentOutcome): void {
    try {
      ended(outcome);
    } catch (error) {
      this.#use.fault(error);
    }
  }
}
