import type { MappingLoss, Message } from "@nomq/core";
import { createMappingLosses, type Log } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import { LOST_TO_311 } from "./mapping.ts";

type Properties = NonNullable<IPublishPacket["properties"]>;

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
