import type { IPublishPacket } from "mqtt-packet";

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
