import type { MessageJson } from "../api/message-json.ts";

/** One line: JSON, or the channel and its payload. */
export function messageLine(message: MessageJson, json: boolean): string {
  if (json) return `${JSON.stringify(message)}\n`;
  const text = message.payload ?? `base64:${message.payloadBase64 ?? ""}`;
  return `${message.channel} ${process.stdout.isTTY ? harmless(text) : text}\n`;
}

// What a device sends must not drive the terminal it is shown on.
const harmless = (text: string): string =>
  text.replaceAll(
    /[^\P{Cc}\t\n]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
