import type { Clock } from "@nomq/core";
import type { IncomingResponse, Messaging, Remote, Sent } from "../messaging/messaging.ts";
import { MAX_TRANSMIT_WAIT_MS } from "../messaging/parameters.ts";
import { type CoapMessage, type CoapOption, MessageType, OptionNumber } from "../wire/coap-message.ts";
import { type Code, Response } from "../wire/code.ts";
import { findOption, withOption } from "../wire/options.ts";
import { encodeTail } from "../wire/tail.ts";

/** One request. */
export interface Request {
  readonly to: Remote;
  readonly code: Code;
  readonly token: Uint8Array;
  /** In ascending order of their numbers. */
  readonly options: readonly CoapOption[];
  readonly payload?: Uint8Array;
}

/** What came of it. `sent`: whether a datagram of it has left. */
export type Reply =
  | { readonly is: "answered"; readonly response: IncomingResponse }
  | { readonly is: "reset" | "silent" }
  | { readonly is: "aborted"; readonly sent: boolean };

/** What requests stand on. */
export interface Wire {
  readonly messaging: Messaging;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

const TOKEN_BYTES = 8;

/** 8 bytes: two requests with one token at one peer would take each other's answers (RFC 7252 section 5.3.1). */
export function newToken(random: () => number): Uint8Array {
  return drawBytes(TOKEN_BYTES, random);
}

/** So many bytes of what {@link Wire.random} gives. */
export function drawBytes(length: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/**
 * A CON request until it is answered, reset, or 93 s are over. An abort takes it back. A server that first wants to know
 * whether we are where we say is told (Echo, RFC 9175 section 2.3).
 */
export async function request(wire: Wire, what: Request, signal: AbortSignal): Promise<Reply> {
  const reply = await requestOnce(wire, what, signal);
  const echo = reply.is === "answered" ? echoOf(reply.response) : undefined;
  if (echo === undefined) return reply;
  const again = await requestOnce(wire, { ...what, options: withOption(what.options, echo) }, signal);
  return again.is === "aborted" ? { is: "aborted", sent: true } : again;
}

/** What the server wants to have back before it answers; a copy that outlives the datagram. */
export function echoOf({ code, options }: CoapMessage): CoapOption | undefined {
  if (code !== Response.unauthorized) return undefined;
  const echo = findOption(options, OptionNumber.echo);
  return echo && { number: echo.number, value: Uint8Array.from(echo.value) };
}

function requestOnce(wire: Wire, what: Request, signal: AbortSignal): Promise<Reply> {
  const { to, code, token, options, payload } = what;
  if (signal.aborted) return Promise.resolve({ is: "aborted", sent: false });
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const outgoing = { type: MessageType.confirmable, code, token, tail: encodeTail(options, payload) };
  let wasSent = false;
  let sent: Sent | undefined;
  let cancelDeadline: () => void = () => undefined;

  const end = (reply: Reply): void => {
    cancelDeadline();
    signal.removeEventListener("abort", abort);
    answers.end();
    resolve(reply);
    sent?.cancel();
  };
  const abort = (): void => end({ is: "aborted", sent: wasSent });
  const answers = wire.messaging.expect(to, token, (response) => end({ is: "answered", response }));
  signal.addEventListener("abort", abort, { once: true });
  sent = wire.messaging.send(
    to,
    () => {
      if (!wasSent) cancelDeadline = wire.clock.after(MAX_TRANSMIT_WAIT_MS, () => end({ is: "silent" }));
      wasSent = true;
      return outgoing;
    },
    (outcome) => {
      if (outcome === "reset") end({ is: "reset" });
      if (outcome === "timeout") end({ is: "silent" });
    },
  );
  return promise;
}
