import type { Transport } from "@nomq/core";
import { type CoapMessage, type CoapOption, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { type Code, Response } from "../../src/wire/code.ts";
import { decodeMessage } from "../../src/wire/decode.ts";
import { encodeMessage } from "../../src/wire/encode.ts";
import { readUint, uintValue } from "../../src/wire/option-value.ts";
import { findOption } from "../../src/wire/options.ts";
import { encodeTail } from "../../src/wire/tail.ts";

/** What a test lets its peer say. */
export interface Saying {
  readonly type?: MessageType;
  readonly code?: Code;
  readonly id?: number;
  readonly token?: Uint8Array;
  readonly observe?: number;
  readonly maxAge?: number;
  readonly format?: number;
  readonly etag?: Uint8Array;
  readonly options?: readonly CoapOption[];
  readonly payload?: string | Uint8Array;
}

/** A CoAP endpoint that says exactly what a test tells it to, on a network in memory. */
export interface ToyPeer {
  /** Requests so far, repetitions included. */
  readonly requests: CoapMessage[];
  /** Ports that requests came from. */
  readonly ports: Set<number>;
  /** Acknowledgements and resets so far. */
  readonly answers: CoapMessage[];
  /** Called for each new request (not its repetitions); what it returns is piggybacked. Undefined: silence. */
  serve: (request: CoapMessage) => Saying | undefined;
  /** Whether repetitions of a request are served as well. */
  servesRepeats: boolean;
  say(saying: Saying): void;
  /** The token of the last registration. */
  token(): Uint8Array;
  readonly transport: Transport;
}

const uint = (number: number, value: number): CoapOption => ({ number, value: uintValue(value) });

let ids = 100;

/** Makes one that answers nothing until `serve` is set; it speaks to whoever spoke last. */
export function createToyPeer(transport: Transport): ToyPeer {
  let last: { host: string; port: number } | undefined;
  let served = -1;
  const peer: ToyPeer = {
    requests: [],
    ports: new Set(),
    answers: [],
    serve: () => undefined,
    servesRepeats: false,
    transport,
    token: () => {
      const registration = peer.requests.findLast(({ options }) => findOption(options, OptionNumber.observe));
      return registration?.token ?? new Uint8Array();
    },
    say(saying) {
      if (last !== undefined) void transport.send(datagramOf(saying), last);
    },
  };
  transport.onDatagram((datagram, from) => {
    last = from;
    const message = decodeMessage(datagram);
    if (message === undefined) return;
    if (message.code >> 5 !== 0 || message.code === 0) {
      peer.answers.push(message);
      return;
    }
    peer.requests.push(message);
    peer.ports.add(from.port);
    const isRepeat = message.messageId === served;
    served = message.messageId;
    const saying = isRepeat && !peer.servesRepeats ? undefined : peer.serve(message);
    if (saying === undefined) return;
    const { token, messageId: id } = message;
    peer.say({ type: MessageType.acknowledgement, token, id, ...saying });
  });
  return peer;
}

/** The bytes of what is said; a notification of its own is a CON 2.05 with a new message id. */
export function datagramOf(saying: Saying): Uint8Array {
  const { type = MessageType.confirmable, code = Response.content, token = new Uint8Array() } = saying;
  const { observe, maxAge, format, etag, options = [], payload } = saying;
  ids += 1;
  const all = [
    ...(etag === undefined ? [] : [{ number: OptionNumber.etag, value: etag }]),
    ...(observe === undefined ? [] : [uint(OptionNumber.observe, observe)]),
    ...(format === undefined ? [] : [uint(OptionNumber.contentFormat, format)]),
    ...(maxAge === undefined ? [] : [uint(OptionNumber.maxAge, maxAge)]),
    ...options,
  ].sort((one, other) => one.number - other.number);
  const body = typeof payload === "string" ? Buffer.from(payload) : payload;
  return encodeMessage({ type, code, messageId: saying.id ?? ids, token }, encodeTail(all, body));
}

/** The value of an uint option; undefined: not there. */
export function uintOf({ options }: CoapMessage, number: number): number | undefined {
  const option = findOption(options, number);
  return option === undefined ? undefined : readUint(option.value, 4);
}

/** Text of all options of a number. */
export const texts = ({ options }: CoapMessage, number: number): string[] =>
  options.filter((each) => each.number === number).map(({ value }) => Buffer.from(value).toString());
