import { randomUUID } from "node:crypto";
import {
  type Attachment,
  type Message,
  type Outcome,
  type Port,
  type Principal,
  systemClock,
} from "@nomq/core";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { messageJson } from "./message-json.ts";

/** Options of {@link streamMessages}. */
export interface StreamOptions {
  readonly port: Port;
  readonly as: Principal;
  readonly filters: readonly string[];
  /** Begin with the retained messages under the filters. */
  readonly retained: boolean;
}

/** So that a connection whose other side vanished is noticed. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Server-sent events: first `ready`, once the subscription is in force, so that what is published from then on is
 * seen; then one `message` each. The reader's pace is the hub's: what it leaves unread waits in a bounded outbox.
 */
export async function streamMessages(context: Context, options: StreamOptions): Promise<Response> {
  const opened = Promise.withResolvers<SSEStreamingApi>();
  const deliver = async (message: Message, { signal }: { signal: AbortSignal }): Promise<Outcome> => {
    const stream = await opened.promise;
    if (stream.aborted || signal.aborted) return { is: "retry", reason: "the reader has gone" };
    await stream.writeSSE({ event: "message", id: message.id, data: JSON.stringify(messageJson(message)) });
    return { is: "delivered" };
  };
  const attachment = await options.port.attach({
    name: `api:stream:${randomUUID()}`,
    as: options.as,
    filters: options.filters,
    durable: false,
    ...(options.retained ? { retained: "deliver" } : {}),
    deliver,
  });
  return streamSSE(context, async (stream) => {
    await serve(stream, attachment, () => opened.resolve(stream));
  });
}

async function serve(stream: SSEStreamingApi, attachment: Attachment, open: () => void): Promise<void> {
  const gone = Promise.withResolvers<void>();
  stream.onAbort(() => gone.resolve());
  let cancel = (): void => undefined;
  const keepAlive = (): void => {
    cancel = systemClock.after(KEEP_ALIVE_MS, () => {
      void stream.write(": keep-alive\n\n").then(keepAlive);
    });
  };
  try {
    await stream.writeSSE({ event: "ready", data: JSON.stringify({ attachment: attachment.name }) });
    open();
    keepAlive();
    await gone.promise;
  } finally {
    cancel();
    open();
    await attachment[Symbol.asyncDispose]();
  }
}
