import type { Message, Qos } from "@nomq/core";
import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";
import { ourAttributes, readOurAttributes } from "./attributes.ts";
import { payloadOf } from "./foreign.ts";
import { writtenBytes, xmlSafeText } from "./xml-text.ts";

/** The largest payload that becomes an item: above about 240 KiB of stanza servers end the stream. */
export const MAX_PAYLOAD_BYTES = 131_072;

/** What all attributes together may have: properties and correlation are the sender's. */
const MAX_ATTRIBUTE_BYTES = 32_768;

const JSON_TYPE = /^application\/(?:[^;\s]*\+)?json(?:\s*;|$)/i;

/** What an item says of a message besides its payload. Absent: not said, or not understood. */
export interface ItemProperties {
  readonly qos?: Qos;
  readonly retain?: boolean;
  /** Milliseconds that were left when it was published. */
  readonly ttlMs?: number;
  /** The sender's wall clock, Unix milliseconds. */
  readonly expiresAt?: number;
  readonly priority?: number;
  readonly contentType?: string;
  /** The message's id where it first came into a gateway; with the gateway's name it is unique. */
  readonly originId?: string;
  /** Which gateway that was. */
  readonly gateway?: string;
  readonly responseChannel?: string;
  readonly correlation?: Uint8Array;
  readonly properties?: readonly (readonly [name: string, value: string])[];
}

/** A payload element read. */
export interface ReadItem extends ItemProperties {
  readonly payload: Uint8Array;
  /** True where a gateway wrote it. */
  readonly isOurs: boolean;
}

/** A message as the one payload element of an item. `too-large`: payload or properties are above their limits. */
export function itemPayload(
  message: Message,
  said: { readonly gateway: string; readonly expiresInMs?: number },
): Element | "too-large" {
  if (message.payload.byteLength > MAX_PAYLOAD_BYTES) return "too-large";
  const attributes = ourAttributes(propertiesOf(message, said));
  let bytes = 0;
  for (const name in attributes) bytes += name.length + Buffer.byteLength(attributes[name] ?? "");
  if (bytes > MAX_ATTRIBUTE_BYTES) return "too-large";
  const text = xmlSafeText(message.payload);
  // Markup characters grow by escaping: base64 never grows by more than a third.
  if (text === undefined || writtenBytes(text) > (message.payload.byteLength * 4) / 3 + 64) {
    const encoded = Buffer.from(message.payload).toString("base64");
    return element("data", { xmlns: Namespace.nomq, ...attributes, "n:enc": "base64" }, [encoded]);
  }
  if (JSON_TYPE.test(message.contentType ?? "") && isJson(text))
    return element("json", { xmlns: Namespace.json, ...attributes }, [text]);
  return element("text", { xmlns: Namespace.nomq, ...attributes }, [text]);
}

function propertiesOf(
  message: Message,
  { gateway, expiresInMs }: { readonly gateway: string; readonly expiresInMs?: number },
): Record<`n:${string}`, string | undefined> {
  const { contentType, correlation, expiresAt, priority, properties, responseChannel } = message;
  return {
    "n:qos": String(message.qos),
    "n:retain": message.retain ? "1" : "0",
    "n:ttl": expiresInMs === undefined ? undefined : String(Math.max(0, Math.ceil(expiresInMs))),
    "n:exp": expiresAt === undefined ? undefined : String(Math.ceil(expiresAt)),
    "n:prio": priority === 0 ? undefined : String(priority),
    "n:ct": contentType,
    "n:oid": message.id,
    "n:gw": gateway,
    "n:resp": responseChannel,
    "n:corr": correlation && Buffer.from(correlation).toString("base64url"),
    "n:props": properties && properties.length > 0 ? JSON.stringify(properties) : undefined,
  };
}

/** Reads the one payload element of an item, whoever wrote it. Undefined: its base64 is none, or it is nested too deeply. */
export function readItem(payload: Element): ReadItem | undefined {
  const said = readOurAttributes(payload);
  const content = payloadOf(payload, said.get("enc"));
  if (content === undefined) return undefined;
  const contentType = said.get("ct") ?? content.contentType;
  return {
    payload: content.bytes,
    isOurs: said.has("oid"),
    ...(contentType === undefined ? {} : { contentType }),
    ...numbersIn(said),
    ...textsIn(said),
  };
}

function numbersIn(said: ReadonlyMap<string, string>): ItemProperties {
  const qos = wholeIn(said.get("qos"), 2);
  const ttlMs = wholeIn(said.get("ttl"), Number.MAX_SAFE_INTEGER);
  const expiresAt = wholeIn(said.get("exp"), Number.MAX_SAFE_INTEGER);
  const priority = wholeIn(said.get("prio"), 15);
  const retain = wholeIn(said.get("retain"), 1);
  return {
    // At most 2: `wholeIn` has looked.
    ...(qos === undefined ? {} : { qos: qos as Qos }),
    ...(retain === undefined ? {} : { retain: retain === 1 }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(priority === undefined ? {} : { priority }),
  };
}

function textsIn(said: ReadonlyMap<string, string>): ItemProperties {
  const originId = said.get("oid");
  const gateway = said.get("gw");
  const responseChannel = said.get("resp");
  const correlation = said.get("corr");
  const properties = pairsIn(said.get("props"));
  return {
    ...(originId === undefined ? {} : { originId }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(responseChannel === undefined ? {} : { responseChannel }),
    ...(correlation === undefined ? {} : { correlation: Buffer.from(correlation, "base64url") }),
    ...(properties === undefined ? {} : { properties }),
  };
}

function wholeIn(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= most ? value : undefined;
}

function pairsIn(text: string | undefined): (readonly [string, string])[] | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every(isPair) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isPair = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string");

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
