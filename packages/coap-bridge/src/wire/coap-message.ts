import type { Code } from "./code.ts";

/** Message types (RFC 7252 section 3). */
export const MessageType = { confirmable: 0, nonConfirmable: 1, acknowledgement: 2, reset: 3 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Option numbers that this bridge knows (IANA, CoAP Option Numbers). */
export const OptionNumber = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  hopLimit: 16,
  accept: 17,
  locationQuery: 20,
  block2: 23,
  block1: 27,
  size2: 28,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
  echo: 252,
  noResponse: 258,
  requestTag: 292,
} as const;

/** An empty token, value or payload. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** One option as on the wire, its number already summed up; an uint is as many bytes as it needs, 0 is none. */
export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

/** One CoAP message. Views point into the datagram it came in. */
export interface CoapMessage {
  readonly type: MessageType;
  readonly code: Code;
  readonly messageId: number;
  /** 0 to 8 bytes. */
  readonly token: Uint8Array;
  /** In ascending order of their numbers. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}
