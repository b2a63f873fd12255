import { generate, type NamedOption, type Option, type Packet, parse } from "coap-packet";

/** The channel of every request: `bench/temperature`. */
const PATH: readonly NamedOption[] = [
  { name: "Uri-Path", value: Buffer.from("bench") },
  { name: "Uri-Path", value: Buffer.from("temperature") },
];
/** application/json (50). */
export const JSON_FORMAT: Buffer = Buffer.of(50);
const ECHO = 252;
const UNAUTHORIZED = "4.01";

/** 64 bytes of JSON; `at` tells one from another. */
export function payloadOf(at: number): Buffer {
  const text = `{"t":21.5,"at":${at},"note":"`;
  return Buffer.from(`${text}${"x".repeat(64 - text.length - 2)}"}`);
}

/** The number in a payload. */
export function numberIn(payload: Buffer): number {
  return Number(/"at":(\d+)/.exec(payload.toString("latin1"))?.[1]);
}

/** What a request says beside its path. */
export interface RequestOptions {
  readonly code: "GET" | "PUT";
  readonly messageId: number;
  readonly token: Buffer;
  readonly confirmable?: boolean;
  readonly observe?: boolean;
  readonly query?: string;
  readonly payload?: Buffer;
  /** The value of an Echo option that the server asked for. */
  readonly echo?: Buffer;
}

/** The bytes of a request. */
export function requestOf(options: RequestOptions): Buffer {
  const { code, messageId, token, confirmable = true, observe, query, payload, echo } = options;
  const named: (NamedOption | Option)[] = [...PATH];
  if (observe === true) named.unshift({ name: "Observe", value: Buffer.alloc(0) });
  if (payload !== undefined) named.push({ name: "Content-Format", value: JSON_FORMAT });
  if (query !== undefined) named.push({ name: "Uri-Query", value: Buffer.from(query) });
  if (echo !== undefined) named.push({ name: ECHO, value: echo });
  const packet: Packet = { code, messageId, token, confirmable, options: named };
  return generate(payload === undefined ? packet : { ...packet, payload });
}

/** The Echo value of an answer that asks for it (RFC 9175 section 2.3). */
export function echoAskedFor(datagram: Buffer): Buffer | undefined {
  const { code, options } = parse(datagram);
  if (code !== UNAUTHORIZED) return undefined;
  return options.find(({ name }) => name === ECHO || `${name}` === `${ECHO}`)?.value;
}

/** An empty acknowledgement of a CON. */
export function acknowledgementOf(messageId: number): Buffer {
  return Buffer.of(0x60, 0, messageId >> 8, messageId & 0xff);
}
