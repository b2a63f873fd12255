import { MessageType, NO_BYTES } from "../wire/coap-message.ts";
import { decodeMessage, messageIdIn, typeIn } from "../wire/decode.ts";
import { encodeEmpty } from "../wire/encode.ts";
import { checkOptions } from "../wire/option-rules.ts";
import { type AnsweredRequests, Said } from "./answered-requests.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { Lines } from "./lines.ts";
import type { IncomingResponse } from "./messaging.ts";
import type { Peer } from "./peer.ts";
import type { Tally } from "./tally.ts";

/** What expectations need. */
export interface ExpectationsUse {
  readonly answered: AnsweredRequests;
  readonly lines: Lines;
  readonly tally: Tally;
  /** Told of what a taker threw. */
  readonly fault: (error: unknown) => void;
}

type Take = (response: IncomingResponse) => void;

/** Responses that are waited for, by remote and token (RFC 7252 section 5.3.2). */
export class Expectations {
  readonly #use: ExpectationsUse;
  readonly #takers = new Map<string, Take>();

  constructor(use: ExpectationsUse) {
    this.#use = use;
  }

  /** The last one to expect a token of a remote gets what carries it. */
  expect(from: Peer, token: Uint8Array, take: Take): { end(): void } {
    const key = keyOf(from, token);
    this.#takers.set(key, take);
    from.pins += 1;
    let isOver = false;
    return {
      end: () => {
        if (isOver) return;
        isOver = true;
        from.pins -= 1;
        if (this.#takers.get(key) === take) this.#takers.delete(key);
      },
    };
  }

  /** Takes a datagram with the code of a response. */
  receive(peer: Peer, datagram: Uint8Array, now: number): void {
    const type = typeIn(datagram);
    if (type === MessageType.acknowledgement) {
      this.#piggybacked(peer, datagram);
      return;
    }
    const transmission = { peer, messageId: messageIdIn(datagram), fingerprint: fingerprintOf(datagram) };
    if (this.#use.answered.find(transmission, now) !== -1) {
      this.#use.tally.duplicates += 1;
      if (type === MessageType.confirmable) this.#empty(peer, MessageType.acknowledgement, datagram);
      return;
    }
    const response = this.#read(peer, datagram);
    const take = response && this.#takers.get(keyOf(peer, response.token));
    if (response === undefined || take === undefined) {
      // A NON may be reset as well: a server stops notifying by that (RFC 7641 section 3.6).
      if (response !== undefined || type === MessageType.confirmable)
        this.#empty(peer, MessageType.reset, datagram);
      return;
    }
    if (type === MessageType.confirmable) this.#empty(peer, MessageType.acknowledgement, datagram);
    this.#use.answered.add(
      transmission,
      { said: Said.nothing, code: 0, token: NO_BYTES, messageId: 0, tail: undefined },
      now,
    );
    this.#use.lines.responded(peer, response.token);
    this.#tell(take, response);
  }

  #piggybacked(peer: Peer, datagram: Uint8Array): void {
    const token = peer.flying?.outgoing?.token;
    const response = this.#read(peer, datagram);
    // Message id and token must both be those of the request (section 5.3.2).
    if (response === undefined || token === undefined || Buffer.compare(token, response.token) !== 0) return;
    if (!this.#use.lines.acknowledged(peer, response.messageId)) return;
    const take = this.#takers.get(keyOf(peer, response.token));
    if (take !== undefined) this.#tell(take, response);
  }

  /** Undefined where the format is wrong, or an option that must be understood is not (section 5.4.1). */
  #read(peer: Peer, datagram: Uint8Array): IncomingResponse | undefined {
    const message = decodeMessage(datagram);
    const checked = message && checkOptions(message.options);
    if (message === undefined || checked?.is !== "fine") {
      this.#use.tally.malformed += 1;
      return undefined;
    }
    return { ...message, options: checked.options, from: peer };
  }

  #empty(peer: Peer, type: MessageType, datagram: Uint8Array): void {
    peer.transmit(encodeEmpty(type, messageIdIn(datagram)));
  }

  #tell(take: Take, response: IncomingResponse): void {
    try {
      take(response);
    } catch (error) {
      this.#use.fault(error);
    }
  }
}

function keyOf(from: Peer, token: Uint8Array): string {
  return `${from.serial} ${Buffer.from(token.buffer, token.byteOffset, token.length).toString("hex")}`;
}
