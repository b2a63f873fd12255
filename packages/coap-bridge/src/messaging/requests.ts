import { MessageType, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { decodeBody, messageIdIn, typeIn } from "../wire/decode.ts";
import { encodeEmpty } from "../wire/encode.ts";
import { checkOptions } from "../wire/option-rules.ts";
import { uintValue } from "../wire/option-value.ts";
import { optionValue } from "../wire/options.ts";
import { encodeTail } from "../wire/tail.ts";
import type { AnsweredRequests } from "./answered-requests.ts";
import type { Answers } from "./answers.ts";
import type { EchoValues } from "./echo.ts";
import type { Exchanges } from "./exchanges.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { RateLimit } from "./limits.ts";
import type { Lines } from "./lines.ts";
import type { Answer, Serve } from "./messaging.ts";
import type { Peer } from "./peer.ts";
import { Request } from "./request.ts";
import type { Tally } from "./tally.ts";

/** What requests need. */
export interface RequestsUse {
  readonly serve: Serve;
  readonly answered: AnsweredRequests;
  readonly answers: Answers;
  readonly exchanges: Exchanges;
  readonly lines: Lines;
  readonly echo: EchoValues;
  readonly rate: RateLimit;
  readonly underWay: number;
  readonly underWayInAll: number;
  readonly tally: Tally;
  /** Told of what `serve` threw. */
  readonly fault: (error: unknown) => void;
}

/** How the datagram of a request came. */
export interface Arrival {
  readonly now: number;
  readonly toGroup: boolean;
}

const maxAge = (seconds: number): Uint8Array =>
  encodeTail([{ number: OptionNumber.maxAge, value: uintValue(seconds) }]);

/** Requests to groups whose answers wait at once: one datagram has a place for seconds. */
const MOST_TO_GROUPS = 512;
/** Try again in a second: the allowance fills up. */
const TOO_MANY: Answer = { code: Response.tooManyRequests, tail: maxAge(1) };
const OVERLOADED: Answer = { code: Response.serviceUnavailable, tail: maxAge(5) };
const FAILED: Answer = { code: Response.internalServerError };
const NO_PROXY: Answer = { code: Response.proxyingNotSupported };

/** Takes requests: each is served once, and only if it is well-formed, understood and within the limits. */
export class Requests {
  readonly #use: RequestsUse;

  constructor(use: RequestsUse) {
    this.#use = use;
  }

  receive(peer: Peer, datagram: Uint8Array, { now, toGroup }: Arrival): void {
    const transmission = { peer, messageId: messageIdIn(datagram), fingerprint: fingerprintOf(datagram) };
    if (this.#isDuplicate(transmission, { code: datagram[1] ?? 0, now })) {
      this.#use.tally.duplicates += 1;
      return;
    }
    const body = decodeBody(datagram);
    if (body === undefined) {
      this.#use.tally.malformed += 1;
      if (typeIn(datagram) === MessageType.confirmable && !toGroup) this.#refuse(peer, datagram);
      return;
    }
    const checked = checkOptions(body.options);
    const start = { peer, datagram, fingerprint: transmission.fingerprint, toGroup };
    const options = checked.is === "fine" ? checked.options : [];
    const request = new Request(start, body, options);
    // A multicast request must be a NON (RFC 7252 section 8.1).
    if (toGroup && request.isConfirmable) return;
    if (checked.is === "refused") this.#refuseOption(request, checked.number);
    else this.#admit(request, now);
  }

  #isDuplicate(
    transmission: { readonly peer: Peer; readonly messageId: number; readonly fingerprint: number },
    { code, now }: { readonly code: number; readonly now: number },
  ): boolean {
    const { answered, answers, exchanges } = this.#use;
    const at = answered.find(transmission, now);
    if (at !== -1) return answers.repeat(transmission.peer, transmission.messageId, { at, code });
    return exchanges.isOpen(transmission.peer, transmission);
  }

  #admit(request: Request, now: number): void {
    const { from, options } = request;
    const last = options.at(-1)?.number ?? 0;
    if (last >= OptionNumber.proxyUri && this.#isForProxy(request)) {
      this.#use.tally.badOptions += 1;
      this.#say(request, NO_PROXY);
      return;
    }
    if (last >= OptionNumber.echo && !from.proven) this.#readEcho(request, now);
    // Whoever is asked in a group may be silent (RFC 7252 section 8.2).
    if (request.toGroup && this.#use.exchanges.toGroups >= MOST_TO_GROUPS) {
      this.#use.tally.limited += 1;
      return;
    }
    const refusal = this.#limit(from, now);
    if (refusal === undefined) {
      this.#serve(request);
      return;
    }
    this.#use.tally.limited += 1;
    this.#say(request, refusal);
  }

  #isForProxy({ options }: Request): boolean {
    return options.some(
      ({ number }) => number === OptionNumber.proxyUri || number === OptionNumber.proxyScheme,
    );
  }

  #readEcho({ from, options }: Request, now: number): void {
    const echo = optionValue(options, OptionNumber.echo);
    if (echo !== undefined && this.#use.echo.isFor(from, echo, now)) this.#use.lines.proven(from);
  }

  #limit(from: Peer, now: number): Answer | undefined {
    if (!this.#use.rate.take(from.at, now) || from.underWay >= this.#use.underWay) return TOO_MANY;
    return this.#use.exchanges.size >= this.#use.underWayInAll ? OVERLOADED : undefined;
  }

  #serve(request: Request): void {
    let answer: ReturnType<Serve>;
    try {
      answer = this.#use.serve(request);
    } catch (error) {
      this.#use.fault(error);
      answer = FAILED;
    }
    if (answer instanceof Promise) this.#use.exchanges.serving(request, answer);
    else this.#say(request, answer);
  }

  #say(request: Request, answer: Answer | undefined): void {
    // To a group all answers wait for their moment; others only if their address must prove itself.
    if (request.toGroup || !this.#use.answers.say(request, answer))
      this.#use.exchanges.later(request, answer);
  }

  /** A NON is rejected where a CON is told why (section 5.4.1). */
  #refuseOption(request: Request, number: number): void {
    this.#use.tally.badOptions += 1;
    const isForProxy = number === OptionNumber.proxyUri || number === OptionNumber.proxyScheme;
    if (isForProxy) this.#say(request, NO_PROXY);
    else if (request.isConfirmable) this.#say(request, badOption(number));
    else if (!request.toGroup) this.#refuse(request.from, request);
  }

  #refuse(peer: Peer, of: Uint8Array | Request): void {
    const messageId = of instanceof Request ? of.messageId : messageIdIn(of);
    peer.transmit(encodeEmpty(MessageType.reset, messageId));
  }
}

/** In few words: the answer is remembered beside its request, in place of an array of its own. */
function badOption(number: number): Answer {
  const text = Buffer.from(`bad option ${number}`);
  return { code: Response.badOption, tail: encodeTail([], text) };
}
