import { MessageType, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { encodeTail } from "../wire/tail.ts";
import { type Answers, beginsObservation, mayNotObserveYet } from "./answers.ts";
import type { EchoValues } from "./echo.ts";
import { Exchange } from "./exchange.ts";
import type { Lines } from "./lines.ts";
import type { Answer, SentOutcome, Serve } from "./messaging.ts";
import { PIGGYBACK_MS, PROOF_WAIT_MS } from "./parameters.ts";
import type { Peer } from "./peer.ts";
import type { Request } from "./request.ts";
import type { SeparateAnswers } from "./separate-answers.ts";
import type { Tally } from "./tally.ts";
import type { TimingWheel } from "./timing-wheel.ts";

/** Answers that wait for their addresses at once; more are challenged with Echo, which costs nothing to remember. */
const MOST_PROVING = 2048;

/** What exchanges need. */
export interface ExchangesUse {
  readonly wheel: TimingWheel;
  readonly random: () => number;
  readonly now: () => number;
  readonly lines: Lines;
  readonly separate: SeparateAnswers;
  readonly answers: Answers;
  readonly echo: EchoValues;
  readonly tally: Tally;
  readonly leisureMs: number;
  readonly serve: Serve;
  /** Told of what `serve` threw, and what a promise of an answer was rejected with. */
  readonly fault: (error: unknown) => void;
}

/** Requests that were not answered at once, each until its answer has been said. */
export class Exchanges {
  readonly #use: ExchangesUse;
  #serving = 0;
  #toGroups = 0;
  #proving = 0;
  readonly #due = (exchange: Exchange): void => this.#fired(exchange);

  constructor(use: ExchangesUse) {
    this.#use = use;
  }

  /**
   * Requests that are being served: not those that wait for their address, of which forged ones are free, nor those to
   * groups, which wait for seconds.
   */
  get size(): number {
    return this.#serving;
  }

  /** Requests to groups. */
  get toGroups(): number {
    return this.#toGroups;
  }

  /** Waits for an answer; a CON is acknowledged if it takes longer than 50 ms. */
  serving(request: Request, answer: Promise<Answer | undefined>): void {
    this.#await(this.#begin(request), answer);
  }

  #await(exchange: Exchange, answer: Promise<Answer | undefined>): void {
    const { request, acknowledged } = exchange;
    if (request.isConfirmable && !acknowledged) this.#use.wheel.arm(exchange, PIGGYBACK_MS);
    answer.then(
      (answered) => this.#served(exchange, answered),
      (error: unknown) => {
        this.#use.fault(error);
        this.#served(exchange, { code: Response.internalServerError });
      },
    );
  }

  /** Says an answer that cannot be said at once. */
  later(request: Request, answer: Answer | undefined): void {
    this.#served(this.#begin(request), answer);
  }

  /** Whether this is the copy of a request that is open; what was said to it is said again. */
  isOpen(
    peer: Peer,
    { messageId, fingerprint }: { readonly messageId: number; readonly fingerprint: number },
  ): boolean {
    const exchange = peer.exchanges.find(
      ({ request }) => request.messageId === messageId && request.fingerprint === fingerprint,
    );
    if (exchange === undefined) return false;
    if (exchange.acknowledged) this.#use.answers.acknowledge(peer, messageId);
    else if (exchange.stage === "proving") this.#use.lines.challenge(peer);
    return true;
  }

  /** A remote has proved itself: what waits for that goes now. */
  proved(peer: Peer): void {
    if (peer.exchanges.length === 0) return;
    for (const exchange of [...peer.exchanges]) {
      if (exchange.stage === "proving") this.#say(exchange);
    }
  }

  /** No answer is said any more. */
  close(peers: Iterable<Peer>): void {
    for (const { exchanges } of peers) for (const exchange of [...exchanges]) this.#end(exchange);
  }

  #begin(request: Request): Exchange {
    const exchange = new Exchange(request, this.#due);
    const { from } = request;
    from.exchanges.push(exchange);
    from.pins += 1;
    from.underWay += 1;
    if (request.toGroup) this.#toGroups += 1;
    else this.#serving += 1;
    return exchange;
  }

  #end(exchange: Exchange): void {
    const { from, toGroup } = exchange.request;
    if (exchange.stage === "proving") this.#proving -= 1;
    else if (!toGroup) this.#serving -= 1;
    if (toGroup) this.#toGroups -= 1;
    exchange.stage = "over";
    this.#use.wheel.disarm(exchange);
    const { exchanges } = from;
    // Nearly always: what is answered within this turn was the last to come.
    if (exchanges.at(-1) === exchange) exchanges.pop();
    else if (exchanges.includes(exchange)) exchanges.splice(exchanges.indexOf(exchange), 1);
    from.pins -= 1;
    from.underWay -= 1;
  }

  #served(exchange: Exchange, answer: Answer | undefined): void {
    if (exchange.stage !== "serving") return;
    exchange.answer = answer;
    this.#use.wheel.disarm(exchange);
    if (!exchange.request.toGroup || answer === undefined) {
      this.#say(exchange);
      return;
    }
    exchange.stage = "leisure";
    this.#use.wheel.arm(exchange, this.#use.random() * this.#use.leisureMs);
  }

  #fired(exchange: Exchange): void {
    switch (exchange.stage) {
      case "serving":
        exchange.acknowledged = true;
        this.#use.answers.acknowledge(exchange.request.from, exchange.request.messageId);
        break;
      case "leisure":
        this.#say(exchange);
        break;
      case "proving":
        this.#challenge(exchange);
        break;
      case "over":
        break;
    }
  }

  #say(exchange: Exchange): void {
    const { request, answer, acknowledged } = exchange;
    const isToProve = answer?.onceProven === true && !request.from.proven;
    if (answer?.onceProven === true && !isToProve) {
      this.#serveAgain(exchange);
      return;
    }
    if (acknowledged && !isToProve) {
      this.#saySeparately(exchange);
      return;
    }
    if (this.#use.answers.say(request, answer)) {
      this.#end(exchange);
      return;
    }
    if (exchange.stage === "proving") return;
    this.#use.tally.challenged += 1;
    const isRoom = this.#proving < MOST_PROVING;
    this.#proving += 1;
    if (!request.toGroup) this.#serving -= 1;
    exchange.stage = "proving";
    this.#use.wheel.arm(exchange, PROOF_WAIT_MS);
    if (!isRoom || !this.#use.lines.challenge(request.from)) this.#challenge(exchange);
  }

  /** Its address has proved itself: now what was asked for may begin. */
  #serveAgain(exchange: Exchange): void {
    if (exchange.stage === "proving") {
      this.#proving -= 1;
      this.#serving += 1;
    }
    this.#use.wheel.disarm(exchange);
    exchange.stage = "serving";
    exchange.answer = undefined;
    let answer: ReturnType<Serve>;
    try {
      answer = this.#use.serve(exchange.request);
    } catch (error) {
      this.#use.fault(error);
      answer = { code: Response.internalServerError };
    }
    if (answer instanceof Promise) this.#await(exchange, answer);
    else this.#served(exchange, answer);
  }

  #saySeparately(exchange: Exchange): void {
    const { request, answer } = exchange;
    this.#use.answers.remember(request);
    this.#end(exchange);
    if (answer === undefined) return;
    if (!request.wants(answer)) {
      if (mayNotObserveYet(request, answer)) this.#untold(exchange);
      return;
    }
    const { code, tail, ended } = answer;
    const { from, token } = request;
    const outgoing = { type: MessageType.confirmable, code, token, tail };
    // Under way until somebody has it: who acknowledges nothing would have more and more of them wait.
    from.underWay += 1;
    const told = (outcome: SentOutcome): void => {
      from.underWay -= 1;
      ended?.(outcome);
    };
    // The beginning of an observation waits as notifications do; each more in flight to a stranger is a guess more for it.
    const waits = beginsObservation(request, answer) || !from.proven;
    if (waits) this.#use.lines.send(from, () => outgoing, told);
    else this.#use.separate.send(from, outgoing, told);
  }

  /** Nobody will ever see the answer: what it began, an observation, has nobody either. */
  #untold({ answer }: Exchange): void {
    try {
      answer?.ended?.("reset");
    } catch (error) {
      this.#use.fault(error);
    }
  }

  /** The address did not answer a ping: the client may show with its next request that it got this (RFC 9175). */
  #challenge(exchange: Exchange): void {
    const { request } = exchange;
    this.#end(exchange);
    if (request.from.underWay === 0) this.#use.lines.unchallenge(request.from);
    this.#untold(exchange);
    // An acknowledgement that has gone can carry nothing any more.
    if (request.toGroup || exchange.acknowledged) return;
    const echo = { number: OptionNumber.echo, value: this.#use.echo.for(request.from, this.#use.now()) };
    this.#use.answers.say(request, { code: Response.unauthorized, tail: encodeTail([echo]) });
  }
}
