import { type Draft, MAX_TEXT_BYTES } from "../message.ts";

/**
 * Whether every protocol can carry what comes with a payload: a string of MQTT is at most 65,535 bytes of well-formed
 * UTF-8 without NUL (MQTT 5.0 section 1.5.4). Anything else would end its connections, again at every redelivery.
 */
export function areTextsValid({ contentType, responseChannel, correlation, properties }: Draft): boolean {
  if (correlation !== undefined && correlation.byteLength > MAX_TEXT_BYTES) return false;
  if (!isText(contentType) || !isText(responseChannel)) return false;
  return properties === undefined || properties.every(([name, value]) => isText(name) && isText(value));
}

function isText(text: string | undefined): boolean {
  if (text === undefined) return true;
  if (!text.isWellFormed() || text.includes("\0")) return false;
  return text.length * 3 <= MAX_TEXT_BYTES || Buffer.byteLength(text, "utf8") <= MAX_TEXT_BYTES;
}
