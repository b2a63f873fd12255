import { isUtf8 } from "node:buffer";
import type { Draft, Message } from "@nomq/core";
import type { IPublishPacket, UserProperties } from "mqtt-packet";

type Properties = NonNullable<IPublishPacket["properties"]>;

/** What MQTT does with one property of a message, one way. */
export interface MappingCell {
  readonly is: "kept" | "approximated" | "lost";
  /** How, or why not. */
  readonly how: string;
}

/** One row of the mapping: a property of a message and what becomes of it from and to MQTT. */
export interface MappingRow {
  readonly property: string;
  /** MQTT to hub. */
  readonly from: MappingCell;
  /** Hub to an MQTT 5 client. */
  readonly to: MappingCell;
  /** Hub to an MQTT 3.1.1 client, where it differs. */
  readonly to311?: MappingCell;
}

const kept = (how: string): MappingCell => ({ is: "kept", how });
const approximated = (how: string): MappingCell => ({ is: "approximated", how });
const lost = (how: string): MappingCell => ({ is: "lost", how });
const NO_PROPERTIES = lost("MQTT 3.1.1 has no properties");

/** The mapping as data. {@link draftFromPublish} and {@link publishFromMessage} do what it says. */
export const mqttMapping: readonly MappingRow[] = [
  { property: "channel", from: kept("topic, byte for byte"), to: kept("topic, byte for byte") },
  { property: "payload", from: kept("any bytes"), to: kept("any bytes") },
  { property: "qos", from: kept("QoS"), to: kept("QoS, at most the subscription's") },
  {
    property: "retain",
    from: kept("RETAIN flag; empty payload clears"),
    to: kept("RETAIN flag of retained messages, of live ones with Retain As Published"),
    to311: kept("RETAIN flag of retained messages"),
  },
  {
    property: "ttl",
    from: kept("Message Expiry Interval; 0 = now or never"),
    to: approximated("Message Expiry Interval: what is left, rounded up to seconds"),
    to311: approximated("not told, enforced by the gateway"),
  },
  {
    property: "contentType",
    from: kept("Content Type; Payload Format Indicator 1 alone is text/plain;charset=utf-8"),
    to: kept("Content Type; Payload Format Indicator 1 for text that is UTF-8"),
    to311: NO_PROPERTIES,
  },
  {
    property: "priority",
    from: kept("user property `priority`, 0 to 15"),
    to: kept("user property `priority`, absent for 0"),
    to311: NO_PROPERTIES,
  },
  {
    property: "properties",
    from: approximated("User Property; order is kept among those of one name"),
    to: approximated("User Property; order is kept among those of one name"),
    to311: NO_PROPERTIES,
  },
  {
    property: "responseChannel",
    from: kept("Response Topic"),
    to: kept("Response Topic"),
    to311: NO_PROPERTIES,
  },
  {
    property: "correlation",
    from: kept("Correlation Data"),
    to: kept("Correlation Data"),
    to311: NO_PROPERTIES,
  },
];

/** The content type of a payload of which only the Payload Format Indicator is known (MQTT 5.0 section 3.3.2.3.2). */
const PLAIN_TEXT = "text/plain;charset=utf-8";
const TEXT_TYPE = /^(text\/|application\/(.+\+)?(json|xml)\b)/i;
const PRIORITY = "priority";

/** The hub's words for a PUBLISH that {@link publishFault} found faultless. */
export function draftFromPublish(packet: IPublishPacket): Draft {
  const given = packet.properties ?? {};
  const { priority, properties } = splitPriority(given.userProperties);
  const contentType = given.contentType ?? (given.payloadFormatIndicator ? PLAIN_TEXT : undefined);
  return {
    channel: packet.topic,
    // A copy: the parser's view would keep the whole received chunk alive.
    payload:
      typeof packet.payload === "string" ? Buffer.from(packet.payload) : Uint8Array.from(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    ...(priority > 0 && { priority }),
    ...(contentType !== undefined && { contentType }),
    ...(given.messageExpiryInterval !== undefined && { ttlMs: given.messageExpiryInterval * 1000 }),
    ...(given.responseTopic !== undefined && { responseChannel: given.responseTopic }),
    ...(given.correlationData !== undefined && { correlation: Uint8Array.from(given.correlationData) }),
    ...(properties.length > 0 && { properties }),
  };
}

/** The PUBLISH for a message of the hub; `expiresInMs` as in `Delivery`. */
export function publishFromMessage(message: Message, expiresInMs?: number): IPublishPacket {
  const properties = propertiesOf(message, expiresInMs);
  const { buffer, byteOffset, byteLength } = message.payload;
  return {
    cmd: "publish",
    topic: message.channel,
    payload: Buffer.from(buffer, byteOffset, byteLength),
    qos: message.qos,
    retain: message.retain,
    dup: false,
    ...(Object.keys(properties).length > 0 && { properties }),
  };
}

function propertiesOf(message: Message, expiresInMs: number | undefined): Properties {
  const { contentType, correlation, responseChannel } = message;
  const userProperties = joinPriority(message);
  const isText = contentType !== undefined && TEXT_TYPE.test(contentType) && isUtf8(message.payload);
  return {
    ...(isText && { payloadFormatIndicator: true }),
    ...(expiresInMs !== undefined && { messageExpiryInterval: secondsLeft(expiresInMs) }),
    ...(contentType !== undefined && { contentType }),
    ...(responseChannel !== undefined && { responseTopic: responseChannel }),
    ...(correlation !== undefined && { correlationData: Buffer.from(correlation) }),
    ...(userProperties !== undefined && { userProperties }),
  };
}

/** Milliseconds as a Message Expiry Interval: whole seconds, rounded up, as much as four bytes hold. */
export function secondsLeft(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms / 1000), 0), 0xffff_ffff);
}

function splitPriority(given: UserProperties | undefined): {
  priority: number;
  properties: (readonly [string, string])[];
} {
  let priority = 0;
  const properties: (readonly [string, string])[] = [];
  for (const [name, values] of Object.entries(given ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (name === PRIORITY && /^(\d|1[0-5])$/.test(value)) priority = Number(value);
      else properties.push([name, value]);
    }
  }
  return { priority, properties };
}

function joinPriority(message: Message): UserProperties | undefined {
  if (message.priority === 0 && (message.properties ?? []).length === 0) return undefined;
  // No prototype: a property may be called `__proto__`.
  const joined: UserProperties = Object.create(null);
  const own: readonly (readonly [string, string])[] =
    message.priority > 0 ? [[PRIORITY, String(message.priority)]] : [];
  for (const [name, value] of [...(message.properties ?? []), ...own]) {
    const before = joined[name];
    joined[name] =
      before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return joined;
}

/**
 * Why a received PUBLISH is a protocol error, or undefined. The parser collects a property that may stand once
 * into an array when it comes twice, and such a value makes the encoder throw at every receiver.
 */
export function publishFault(packet: IPublishPacket): string | undefined {
  const given = packet.properties;
  if (given === undefined) return undefined;
  const wrong =
    isNot("boolean", given.payloadFormatIndicator) ??
    isNot("number", given.messageExpiryInterval) ??
    isNot("string", given.responseTopic) ??
    isNot("string", given.contentType);
  if (
    wrong !== undefined ||
    (given.correlationData !== undefined && !Buffer.isBuffer(given.correlationData))
  ) {
    return "property given twice";
  }
  // MQTT 5.0 section 3.3.4: a client must not send subscription identifiers.
  if (given.subscriptionIdentifier !== undefined) return "subscription identifier from a client";
  if (given.responseTopic === "") return "empty response topic";
  return undefined;
}

function isNot(type: "boolean" | "number" | "string", value: unknown): true | undefined {
  return value !== undefined && typeof value !== type ? true : undefined;
}
