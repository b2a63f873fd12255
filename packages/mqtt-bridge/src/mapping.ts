import { isUtf8 } from "node:buffer";
import {
  approximated,
  type Draft,
  kept,
  lost,
  MAX_NAME_BYTES,
  MAX_TEXT_BYTES,
  type MappingProperty,
  type MappingRow,
  type Message,
  type ProtocolMapping,
} from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import { priorityIn, propertiesIn, userPropertiesOf, withPriority } from "./user-properties.ts";

/** The versions of MQTT that differ in what they carry. */
export type MqttVersion = "3.1.1" | "5";

type Properties = NonNullable<IPublishPacket["properties"]>;

const both = <Cell>(cell: Cell): { readonly "3.1.1": Cell; readonly "5": Cell } => ({
  "3.1.1": cell,
  "5": cell,
});
const NO_PROPERTIES = lost("MQTT 3.1.1 has no properties");
/** Seconds: four bytes (MQTT 5.0 section 3.3.2.3.3). */
const LONGEST_EXPIRY = 0xffff_ffff;
/** The content type of a payload of which only the Payload Format Indicator is known (MQTT 5.0 section 3.3.2.3.2). */
const PLAIN_TEXT = "text/plain;charset=utf-8";
const TEXT_TYPE = /^(text\/|application\/(.+\+)?(json|xml)\b)/i;

const qosIn = { convert: ({ qos }: IPublishPacket): IPublishPacket["qos"] => qos };
const qosOut = { convert: ({ qos }: Message): IPublishPacket["qos"] => qos };
const retainIn = { convert: ({ retain }: IPublishPacket): boolean => retain };
const retainOut = { convert: ({ retain }: Message): boolean => retain };
const name = { most: MAX_NAME_BYTES };
const responseTopic = { most: MAX_TEXT_BYTES };
const QOS_OUT = "at most the subscription's QoS";

const rows = {
  name: {
    from: both(
      kept("topic, byte for byte, 1 to 65,535 bytes; a first level that starts with `$` is refused", {
        ...name,
        convert: (packet: IPublishPacket): string => packet.topic,
      }),
    ),
    to: both(kept("topic, byte for byte", { ...name, convert: ({ channel }: Message): string => channel })),
  },
  publish: { from: both(kept("PUBLISH")), to: both(kept("PUBLISH to every session that matches")) },
  qos0: { from: both(kept("QoS 0", qosIn)), to: both(kept("QoS 0", qosOut)) },
  qos1: {
    from: both(kept("QoS 1; PUBACK once the hub has stored it", qosIn)),
    to: both(kept(`QoS 1, ${QOS_OUT}`, qosOut)),
  },
  qos2: {
    from: both(kept("QoS 2; PUBREC once the hub has stored it, routed once", qosIn)),
    to: both(kept(`QoS 2, ${QOS_OUT}`, qosOut)),
  },
  qos3: {
    from: both(lost("malformed: the connection ends (section 3.3.1.2)")),
    to: both(lost("never sent: the hub knows 0, 1 and 2")),
  },
  retain: {
    from: both(kept("RETAIN flag", retainIn)),
    to: {
      "3.1.1": approximated(
        "RETAIN flag on the value kept, for those who subscribe later; a live message comes without it (3.1.1 section 3.3.1.3)",
        retainOut,
      ),
      "5": kept("RETAIN flag on the value kept, and on live messages with Retain As Published", retainOut),
    },
  },
  "no-value": {
    from: both(kept("nothing is sent")),
    to: both(kept("nothing is sent")),
  },
  "clear-retained": {
    from: both(kept("an empty retained PUBLISH", retainIn)),
    to: both(kept("an empty PUBLISH to those who are there, none to those who subscribe later", retainOut)),
  },
  ttl: {
    from: {
      "3.1.1": lost("cannot be said: the message does not expire"),
      "5": kept("Message Expiry Interval, whole seconds; 0 is now or never", {
        most: LONGEST_EXPIRY,
        convert: (given: Properties): number | undefined =>
          given.messageExpiryInterval === undefined ? undefined : given.messageExpiryInterval * 1000,
      }),
    },
    to: {
      "3.1.1": approximated(
        "not told; what has expired is sent to nobody, waiting and retained messages too",
      ),
      "5": approximated("Message Expiry Interval: what is left, rounded up to whole seconds", {
        most: LONGEST_EXPIRY,
        convert: secondsLeft,
      }),
    },
  },
  "content-type": {
    from: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("Content Type; Payload Format Indicator 1 alone is `text/plain;charset=utf-8`", {
        convert: ({ contentType, payloadFormatIndicator }: Properties): string | undefined =>
          contentType ?? (payloadFormatIndicator ? PLAIN_TEXT : undefined),
      }),
    },
    to: {
      "3.1.1": NO_PROPERTIES,
      "5": kept(
        "Content Type; Payload Format Indicator 1 where the type is a text's and the payload is UTF-8",
        {
          convert: ({ contentType }: Message): string | undefined => contentType,
        },
      ),
    },
  },
  priority: {
    from: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("user property `priority`, 0 to 15; any other value stays a user property", {
        convert: priorityIn,
      }),
    },
    to: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("user property `priority`, absent for 0", {
        convert: withPriority,
      }),
    },
  },
  text: { from: both(kept("byte for byte")), to: both(kept("byte for byte")) },
  binary: {
    from: both(
      kept("byte for byte", {
        // A copy: the parser's view would keep the whole received chunk alive.
        convert: ({ payload }: IPublishPacket): Uint8Array =>
          typeof payload === "string" ? Buffer.from(payload) : Uint8Array.from(payload),
      }),
    ),
    to: both(
      kept("byte for byte", {
        convert: ({ payload: { buffer, byteOffset, byteLength } }: Message): Buffer =>
          Buffer.from(buffer, byteOffset, byteLength),
      }),
    ),
  },
  size: {
    from: both(
      kept("whole packets up to the listener's `maxPayload`, 1 MiB; a larger one ends the connection"),
    ),
    to: {
      "3.1.1": kept("any size"),
      "5": kept("any size up to the client's Maximum Packet Size; a larger message is left out and counted"),
    },
  },
  properties: {
    from: {
      "3.1.1": NO_PROPERTIES,
      "5": approximated("user properties; order is kept among those of one name", { convert: propertiesIn }),
    },
    to: {
      "3.1.1": NO_PROPERTIES,
      "5": approximated("user properties; order is kept among those of one name", {
        convert: userPropertiesOf,
      }),
    },
  },
  "response-channel": {
    from: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("Response Topic", {
        ...responseTopic,
        convert: ({ responseTopic }: Properties): string | undefined => responseTopic,
      }),
    },
    to: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("Response Topic", {
        ...responseTopic,
        convert: ({ responseChannel }: Message): string | undefined => responseChannel,
      }),
    },
  },
  correlation: {
    from: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("Correlation Data", {
        convert: ({ correlationData }: Properties): Uint8Array | undefined =>
          correlationData && Uint8Array.from(correlationData),
      }),
    },
    to: {
      "3.1.1": NO_PROPERTIES,
      "5": kept("Correlation Data", {
        convert: ({ correlation }: Message): Buffer | undefined => correlation && Buffer.from(correlation),
      }),
    },
  },
  presence: {
    from: {
      "3.1.1": approximated("a will is published as a message"),
      "5": approximated("a will is published as a message, after its Will Delay Interval"),
    },
    to: both(lost("a client is not told who else is there; a will is a message and arrives as one")),
  },
} satisfies Readonly<Record<MappingProperty, MappingRow<MqttVersion>>>;

/** What MQTT does with each property of a message. {@link draftFromPublish} and {@link publishFromMessage} read it. */
export const mqttMapping: ProtocolMapping<MqttVersion> = {
  protocol: "mqtt",
  title: "MQTT",
  variants: [
    { id: "3.1.1", title: "MQTT 3.1.1" },
    { id: "5", title: "MQTT 5" },
  ],
  rows,
  notes: [
    "A property called `priority` with a value from 0 to 15 is the message's priority, wherever it came from.",
    "MQTT 3.1 clients are served as those of 3.1.1.",
  ],
};

const QOS = [rows.qos0, rows.qos1, rows.qos2] as const;

/** The hub's words for a PUBLISH in which {@link publishFault} found no fault. */
export function draftFromPublish(packet: IPublishPacket): Draft {
  const draft: Draft = {
    channel: rows.name.from[5].convert(packet),
    payload: rows.binary.from[5].convert(packet),
    qos: QOS[packet.qos].from[5].convert(packet),
    retain: rows.retain.from[5].convert(packet),
  };
  return packet.properties === undefined ? draft : { ...draft, ...draftProperties(packet.properties) };
}

/** What MQTT 3.1.1 lacks. */
function draftProperties(given: Properties): Partial<Draft> {
  const { userProperties } = given;
  const priority = userProperties && rows.priority.from[5].convert(userProperties);
  const properties = userProperties && rows.properties.from[5].convert(userProperties);
  const contentType = rows["content-type"].from[5].convert(given);
  const ttlMs = rows.ttl.from[5].convert(given);
  const responseChannel = rows["response-channel"].from[5].convert(given);
  const correlation = rows.correlation.from[5].convert(given);
  return {
    ...(priority && { priority }),
    ...(contentType !== undefined && { contentType }),
    ...(ttlMs !== undefined && { ttlMs }),
    ...(responseChannel !== undefined && { responseChannel }),
    ...(correlation !== undefined && { correlation }),
    ...(properties && properties.length > 0 && { properties }),
  };
}

/** The PUBLISH for a message of the hub; `expiresInMs` as in `Delivery`. */
export function publishFromMessage(message: Message, expiresInMs?: number): IPublishPacket {
  const properties = propertiesOf(message, expiresInMs);
  return {
    cmd: "publish",
    topic: rows.name.to[5].convert(message),
    payload: rows.binary.to[5].convert(message),
    qos: QOS[message.qos].to[5].convert(message),
    retain: rows.retain.to[5].convert(message),
    dup: false,
    ...(properties !== undefined && { properties }),
  };
}

/** One object that grows: this is made for every message. */
function propertiesOf(message: Message, expiresInMs: number | undefined): Properties | undefined {
  const properties: Properties = {};
  let isEmpty = true;
  const put = <Name extends keyof Properties>(name: Name, value: Properties[Name]): void => {
    if (value === undefined) return;
    properties[name] = value;
    isEmpty = false;
  };
  const contentType = rows["content-type"].to[5].convert(message);
  const isText = contentType !== undefined && TEXT_TYPE.test(contentType) && isUtf8(message.payload);
  if (isText) put("payloadFormatIndicator", true);
  if (expiresInMs !== undefined) put("messageExpiryInterval", rows.ttl.to[5].convert(expiresInMs));
  put("contentType", contentType);
  put("responseTopic", rows["response-channel"].to[5].convert(message));
  put("correlationData", rows.correlation.to[5].convert(message));
  put("userProperties", rows.priority.to[5].convert(message, rows.properties.to[5].convert(message)));
  return isEmpty ? undefined : properties;
}

/** Milliseconds as a Message Expiry Interval: whole seconds, rounded up, as much as four bytes hold. */
export function secondsLeft(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms / 1000), 0), LONGEST_EXPIRY);
}
