import { type CoapOption, MessageType, OptionNumber } from "../wire/coap-message.ts";
import { type Code, classOf, Method } from "../wire/code.ts";
import { hasPayload, type MessageBody, messageIdIn, typeIn } from "../wire/decode.ts";
import { optionValue, uintOption } from "../wire/options.ts";
import type { Answer, IncomingRequest } from "./messaging.ts";
import type { Peer } from "./peer.ts";

/** What is known of a request before its options are read. */
export interface RequestStart {
  readonly peer: Peer;
  readonly datagram: Uint8Array;
  readonly fingerprint: number;
  readonly toGroup: boolean;
}

/** A request as it is served, with what its answer needs. */
export class Request implements IncomingRequest {
  readonly from: Peer;
  readonly toGroup: boolean;
  readonly fingerprint: number;
  readonly type: MessageType;
  readonly code: Code;
  readonly messageId: number;
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;

  constructor(start: RequestStart, body: MessageBody, options: readonly CoapOption[]) {
    const { peer, datagram, fingerprint, toGroup } = start;
    this.from = peer;
    this.toGroup = toGroup;
    this.fingerprint = fingerprint;
    this.type = typeIn(datagram);
    this.code = datagram[1] ?? 0;
    this.messageId = messageIdIn(datagram);
    this.token = body.token;
    this.options = options;
    this.payload = body.payload;
  }

  get isConfirmable(): boolean {
    return this.type === MessageType.confirmable;
  }

  /** Whether it asks for more than one answer (RFC 7641): nobody may ask that for somebody else. */
  get asksToObserve(): boolean {
    // Zero may also be written with its zero bytes (RFC 7252 section 3.2).
    return this.code === Method.get && uintOption(this.options, OptionNumber.observe, 3) === 0;
  }

  /**
   * Whether the client wants to hear an answer with this code: No-Response names classes it does not (RFC 7967
   * section 2.1); to a group, errors and what has no payload are not said unless it says that it wants them (RFC 7252 section 8.2).
   */
  wants({ code, tail }: Pick<Answer, "code" | "tail">): boolean {
    const value = optionValue(this.options, OptionNumber.noResponse);
    const byClass = 1 << (classOf(code) - 1);
    if (value !== undefined) return ((value[0] ?? 0) & byClass) === 0;
    return !this.toGroup || (classOf(code) === 2 && hasPayload(tail));
  }
}
