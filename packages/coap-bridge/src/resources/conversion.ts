import { isUtf8 } from "node:buffer";
import { isDeepStrictEqual } from "node:util";
import { decode as decodeCbor, encode as encodeCbor } from "cborg";
import { decode as decodeJson, encode as encodeJson } from "cborg/json";
import { ContentFormat } from "../wire/content-format.ts";
import { MOST_CONVERTED_BYTES } from "./parameters.ts";

/** Formats that some value can be converted to. */
export const CONVERTED_TO: readonly number[] = [
  ContentFormat.text,
  ContentFormat.octets,
  ContentFormat.json,
  ContentFormat.cbor,
];

/** From one Content-Format to another; `from` absent: a value without a type. */
export interface Conversion {
  readonly from: number | undefined;
  readonly to: number;
}

type Convert = (payload: Uint8Array) => Uint8Array | undefined;

const { text, octets, json, cbor } = ContentFormat;
const NO_TYPE = -1;

/**
 * Text is JSON where it is well-formed JSON, and JSON is text: the bytes stay. Between text and CBOR there are only text
 * strings, between JSON and CBOR all that both can say. Bytes without a type are what they can be read as.
 */
const CONVERSIONS: ReadonlyMap<number, ReadonlyMap<number, Convert>> = new Map([
  [
    text,
    new Map<number, Convert>([
      [json, asJson],
      [cbor, textToCbor],
    ]),
  ],
  [
    json,
    new Map<number, Convert>([
      [text, asJson],
      [cbor, jsonToCbor],
    ]),
  ],
  [
    cbor,
    new Map<number, Convert>([
      [text, cborToText],
      [json, cborToJson],
    ]),
  ],
  [
    NO_TYPE,
    new Map<number, Convert>([
      [octets, (payload) => payload],
      [text, asText],
      [json, asJson],
    ]),
  ],
]);

/**
 * The payload in another format, if that loses nothing: what comes out, converted back, is the same value. Undefined
 * where it would not be, for payloads that are not what their type says, and for those above 8 KiB.
 */
export function convert(payload: Uint8Array, { from, to }: Conversion): Uint8Array | undefined {
  if (payload.length > MOST_CONVERTED_BYTES) return undefined;
  const conversion = CONVERSIONS.get(from ?? NO_TYPE)?.get(to);
  try {
    return conversion?.(payload);
  } catch {
    // Not well-formed, or nested deeper than the decoder can follow.
    return undefined;
  }
}

function asText(payload: Uint8Array): Uint8Array | undefined {
  return isUtf8(payload) ? payload : undefined;
}

function asJson(payload: Uint8Array): Uint8Array | undefined {
  if (!isUtf8(payload)) return undefined;
  JSON.parse(decoder.decode(payload));
  return payload;
}

function textToCbor(payload: Uint8Array): Uint8Array | undefined {
  return isUtf8(payload) ? encodeCbor(decoder.decode(payload)) : undefined;
}

function cborToText(payload: Uint8Array): Uint8Array | undefined {
  const value: unknown = decodeCbor(payload, CBOR);
  return typeof value === "string" && isWhole(value) ? Buffer.from(value) : undefined;
}

function jsonToCbor(payload: Uint8Array): Uint8Array | undefined {
  if (!isUtf8(payload)) return undefined;
  const value: unknown = decodeJson(payload, DATA);
  // Only of what is well-formed: looking for the ends of strings that have none takes time.
  if (!areNumbersExact(decoder.decode(payload))) return undefined;
  const converted = encodeCbor(value, KEEP_ORDER);
  return isDeepStrictEqual(decodeCbor(converted, CBOR), value) ? converted : undefined;
}

function cborToJson(payload: Uint8Array): Uint8Array | undefined {
  const value: unknown = decodeCbor(payload, CBOR);
  if (!isJson(value)) return undefined;
  const converted = encodeJson(value, KEEP_ORDER);
  return isDeepStrictEqual(decodeJson(converted, DATA), value) ? converted : undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Maps, so that a key called `__proto__` is a key; numbers beyond 2^53 are refused (RFC 7493 section 2.2). */
const DATA = { useMaps: true, rejectDuplicateMapKeys: true, allowBigInt: false };
const CBOR = { ...DATA, allowUndefined: false, allowInfinity: false, allowNaN: false };
/** Members stay in the order they came in. */
const KEEP_ORDER = { mapSorter: () => 0 };

/** Whether JSON can say it: no byte strings, and only text as keys. */
function isJson(value: unknown): boolean {
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "string") return isWhole(value);
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return value.every(isJson);
  if (!(value instanceof Map)) return false;
  for (const [key, member] of value) {
    if (typeof key !== "string" || !isWhole(key) || !isJson(member)) return false;
  }
  return true;
}

/** The decoder reads bytes that are no UTF-8 as replacement characters: a text with one may have lost some. */
function isWhole(value: string): boolean {
  return !value.includes("\ufffd");
}

/** Strings, and numbers outside of them. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Whether every number is one that a double holds digit by digit: 0.1 and 1e3 are, 0.10000000000000000001 is not. */
function areNumbersExact(jsonText: string): boolean {
  for (const [token] of jsonText.matchAll(TOKENS)) {
    if (!token.startsWith('"') && !isExact(token)) return false;
  }
  return true;
}

/** No double needs as many. */
const MOST_DIGITS = 40;

function isExact(token: string): boolean {
  if (token.length > MOST_DIGITS) return false;
  const value = Number(token);
  if (!Number.isFinite(value) || Object.is(value, -0)) return false;
  return decimalOf(token) === decimalOf(String(value));
}

/** A number's sign, digits without zeros around them, and the power of ten of the last one. */
function decimalOf(token: string): string {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${Number(power) - fraction.length + digits.length - significant.length}`;
}
