import { MessageType, NO_BYTES } from "../wire/coap-message.ts";
import { classOf, Method } from "../wire/code.ts";
import { encodeEmpty, encodeMessage } from "../wire/encode.ts";
import { type AnsweredRequests, Said } from "./answered-requests.ts";
import { fits } from "./credit.ts";
import type { Answer } from "./messaging.ts";
import type { Peer } from "./peer.ts";
import type { Request } from "./request.ts";
import type { SentMemory } from "./sent-memory.ts";

/** What answers need. */
export interface AnswersUse {
  readonly answered: AnsweredRequests;
  readonly sent: SentMemory;
  readonly now: () => number;
}

/** Says answers, and says them again to duplicates. */
export class Answers {
  readonly #use: AnswersUse;

  constructor(use: AnswersUse) {
    this.#use = use;
  }

  /**
   * Piggybacks an answer on the acknowledgement of a CON, or sends it as a NON; what the client does not want to hear
   * is an empty acknowledgement, or nothing. False, and nothing said: its address must prove itself first.
   */
  say(request: Request, answer: Answer | undefined): boolean {
    // Before what No-Response says: it must not let anybody observe unproven.
    if (answer !== undefined && mayNotObserveYet(request, answer)) return false;
    if (answer === undefined || !request.wants(answer)) {
      this.sayNothing(request);
      return true;
    }
    return request.isConfirmable ? this.#piggyback(request, answer) : this.#sayOnce(request, answer);
  }

  /** An empty acknowledgement of a CON, nothing to a NON. */
  sayNothing(request: Request): void {
    if (request.isConfirmable) this.acknowledge(request.from, request.messageId);
    this.remember(request);
  }

  acknowledge(peer: Peer, messageId: number): void {
    peer.transmit(encodeEmpty(MessageType.acknowledgement, messageId));
  }

  /** Remembers a request that was acknowledged, or got nothing. */
  remember(request: Request): void {
    const said = request.isConfirmable ? Said.acknowledgement : Said.nothing;
    this.#remember(request, { said, code: 0, token: NO_BYTES, messageId: 0, tail: undefined });
  }

  /** Says again what was said; false: that is not known any more, and asking again does no harm. */
  repeat(
    peer: Peer,
    messageId: number,
    { at, code }: { readonly at: number; readonly code: number },
  ): boolean {
    const answer = this.#use.answered.answer(at);
    if (answer.tailWasLetGo && isSafe(code)) return false;
    switch (answer.said) {
      case Said.nothing:
        break;
      case Said.acknowledgement:
        this.acknowledge(peer, messageId);
        break;
      case Said.piggybacked:
        this.#again(
          peer,
          encodeMessage({ ...answer, type: MessageType.acknowledgement, messageId }, answer.tail),
        );
        break;
      case Said.separately:
        this.#again(peer, encodeMessage({ ...answer, type: MessageType.nonConfirmable }, answer.tail));
        break;
    }
    return true;
  }

  #again(peer: Peer, datagram: Uint8Array): void {
    if (fits(peer, datagram.length)) peer.transmit(datagram);
  }

  #piggyback(request: Request, { code, tail }: Answer): boolean {
    const { from, messageId, token } = request;
    const datagram = encodeMessage({ type: MessageType.acknowledgement, code, messageId, token }, tail);
    if (!fits(from, datagram.length)) return false;
    from.transmit(datagram);
    this.#remember(request, { said: Said.piggybacked, code, token, messageId, tail });
    return true;
  }

  #sayOnce(request: Request, { code, tail, ended }: Answer): boolean {
    const { from, token } = request;
    const messageId = from.takeMessageId();
    const datagram = encodeMessage({ type: MessageType.nonConfirmable, code, messageId, token }, tail);
    if (!fits(from, datagram.length)) return false;
    from.transmit(datagram);
    this.#remember(request, { said: Said.separately, code, token, messageId, tail });
    if (ended !== undefined) this.#use.sent.add(messageId, { peer: from, ended }, this.#use.now());
    return true;
  }

  #remember(request: Request, answer: Parameters<AnsweredRequests["add"]>[1]): void {
    const { from: peer, messageId, fingerprint } = request;
    this.#use.answered.add({ peer, messageId, fingerprint }, answer, this.#use.now());
  }
}

/** Whether it begins an observation. */
export const beginsObservation = (request: Request, { code }: Answer): boolean =>
  request.asksToObserve && classOf(code) === 2;

/** Whether it begins one of an address that anybody may have written on it. */
export const mayNotObserveYet = (request: Request, answer: Answer): boolean =>
  !request.from.proven && beginsObservation(request, answer);

/** Methods that change nothing (RFC 7252 section 5.8, RFC 8132 section 2.1). */
const isSafe = (code: number): boolean => code === Method.get || code === Method.fetch;
