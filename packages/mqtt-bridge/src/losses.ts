import type { Log, LostProperty, MappingLoss, Message, PropertyTests } from "@nomq/core";
import { createMappingLosses, lostProperties } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import { mqttMapping } from "./mapping.ts";
import { priorityIn, propertiesIn } from "./user-properties.ts";

type Properties = NonNullable<IPublishPacket["properties"]>;

/** What a packet has of that which MQTT 3.1.1 lacks. */
const PACKET_TESTS: PropertyTests<Properties> = {
  "content-type": ({ contentType }) => contentType !== undefined,
  priority: ({ userProperties }) => userProperties !== undefined && priorityIn(userProperties) > 0,
  properties: ({ userProperties }) => userProperties !== undefined && propertiesIn(userProperties).length > 0,
  "response-channel": ({ responseTopic }) => responseTopic !== undefined,
  correlation: ({ correlationData }) => correlationData !== undefined,
};

/** What a packet's properties lose on their way to an MQTT 3.1.1 client, as the table says. */
const LOST_TO_311: readonly LostProperty<Properties>[] = lostProperties(
  (property) => mqttMapping.rows[property].to["3.1.1"],
  PACKET_TESTS,
);

/** Counts what MQTT 3.1.1 clients do not get of messages. */
export interface ClientLosses {
  /** A message of the hub becomes this packet: what is lost of it came from there. */
  made(packet: Pick<IPublishPacket, "properties">, message: Message): void;
  /** The packet goes to an MQTT 3.1.1 client. */
  toOldClient(properties: Properties): void;
  read(): readonly MappingLoss[];
}

/** Makes the counter. */
export function createClientLosses(log: Log): ClientLosses {
  const losses = createMappingLosses(() => log);
  // aedes makes packets of its own, which share their properties.
  const origins = new WeakMap<Properties, string>();
  return {
    made({ properties }, message) {
      if (properties !== undefined && LOST_TO_311.some(([, isThere]) => isThere(properties))) {
        origins.set(properties, message.origin);
      }
    },
    toOldClient(properties) {
      for (const [property, isThere] of LOST_TO_311) {
        if (isThere(properties)) losses.add(origins.get(properties) ?? "mqtt", "mqtt:3.1.1", property);
      }
    },
    read: () => losses.read(),
  };
}
