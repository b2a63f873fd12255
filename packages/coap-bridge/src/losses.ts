import {
  createMappingLosses,
  type Log,
  lostProperties,
  type MappingLoss,
  MESSAGE_TESTS,
  type Message,
} from "@nomq/core";
import { coapMapping, formatOfMessage } from "./mapping.ts";

/** What a message has that CoAP has no field for, as the table says; NON and CON differ in nothing of it. */
const LOST = lostProperties((property) => coapMapping.rows[property].to.con, MESSAGE_TESTS);

/** Counts what CoAP does not carry of messages. */
export interface CoapLosses {
  /** A message is told to observers. */
  told(message: Message): void;
  read(): readonly MappingLoss[];
}

/** Makes the counter; `log` is asked for at each first loss of its kind. */
export function createCoapLosses(log: () => Log): CoapLosses {
  const losses = createMappingLosses(log);
  return {
    told(message) {
      for (const [property, isThere] of LOST) {
        if (isThere(message)) losses.add(message.origin, "coap", property);
      }
      const hasNumber = message.contentType === undefined || formatOfMessage(message) !== undefined;
      if (!hasNumber) losses.add(message.origin, "coap", "content-type");
    },
    read: () => losses.read(),
  };
}
