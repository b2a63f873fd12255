import { MessageType, NO_BYTES } from "../wire/coap-message.ts";
import { classOf, EMPTY } from "../wire/code.ts";
import { HEADER_BYTES } from "../wire/decode.ts";
import type { Outgoing } from "./messaging.ts";
import { MAX_RETRANSMIT } from "./parameters.ts";
import type { Peer } from "./peer.ts";
import type { Sending } from "./sending.ts";

/** An empty CON: whoever gets it must answer with a reset, and cannot know its message id otherwise (RFC 7252 section 4.3). */
export const PING: Outgoing = { type: MessageType.confirmable, code: EMPTY, token: NO_BYTES };
/** A ping is repeated where as much is left for a challenge, 4.01 with token and Echo; first with a token of one byte. */
const SHORT_CHALLENGE_BYTES = 15;
const CHALLENGE_BYTES = 22;

/** Whether an answer of this many bytes may go: what goes to an address that may be forged is limited. */
export function fits(peer: Peer, bytes: number): boolean {
  return peer.proven || peer.credit >= bytes;
}

/** Whether its address must prove itself first: responses are limited by what came from there, our requests are not. */
export function mustProve(peer: Peer, { type, code, token, tail }: Outgoing): boolean {
  if (classOf(code) === 0) return false;
  const times = type === MessageType.confirmable ? 1 + MAX_RETRANSMIT : 1;
  return !fits(peer, times * (HEADER_BYTES + token.length + (tail?.length ?? 0)));
}

/** Whether it is a request of ours. */
const isOwnRequest = (outgoing: Outgoing): boolean => classOf(outgoing.code) === 0 && outgoing !== PING;

/** Sends what a message of ours has been encoded to, if it may go. */
export function transmitFirst({ peer, outgoing, datagram }: Sending): void {
  if (datagram === undefined || outgoing === undefined) return;
  if (isOwnRequest(outgoing)) peer.transmitOwn(datagram);
  else peer.transmit(datagram);
}

/** Sends a CON once more, likewise. */
export function transmitAgain(sending: Sending): void {
  const { peer, outgoing, datagram, repetitions } = sending;
  const reserve = repetitions === 0 ? SHORT_CHALLENGE_BYTES : CHALLENGE_BYTES;
  const needed = (datagram?.length ?? 0) + reserve;
  if (outgoing !== PING || fits(peer, needed)) transmitFirst(sending);
}
