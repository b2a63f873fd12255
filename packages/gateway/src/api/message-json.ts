import type { Message } from "@nomq/core";

/** A message as the API and `nomq sub --json` show it (docs/api.md). */
export interface MessageJson {
  readonly channel: string;
  /** Present when the bytes are text. */
  readonly payload?: string;
  /** Present when they are not. */
  readonly payloadBase64?: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly contentType?: string;
  /** Unix milliseconds. */
  readonly expiresAt?: number;
  readonly priority: number;
  readonly id: string;
  readonly origin: string;
}

// A byte order mark is part of the payload: leaving it out would change the bytes.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The payload as text where it is valid UTF-8, else in base64. */
export function payloadJson(payload: Uint8Array): { payload: string } | { payloadBase64: string } {
  try {
    return { payload: utf8.decode(payload) };
  } catch {
    return { payloadBase64: Buffer.from(payload).toString("base64") };
  }
}

/** The message in the shape of docs/api.md. */
export function messageJson(message: Message): MessageJson {
  const { channel, payload, qos, retain, contentType, expiresAt, priority, id, origin } = message;
  return {
    channel,
    ...payloadJson(payload),
    qos,
    retain,
    ...(contentType === undefined ? {} : { contentType }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    priority,
    id,
    origin,
  };
}
