import { randomUUID } from "node:crypto";
import { ServerResponse } from "node:http";
import type { Attachment, LedgerRow, Message, Outcome, Port } from "@nomq/core";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { z } from "zod";
import type { Caller } from "../caller.ts";
import { fail } from "../failure.ts";
import { messageJson } from "../message-json.ts";
import { type Route, route } from "../route.ts";
import { filterSchema, messageSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";
import { KEEP_ALIVE_MS, type OpenStream, type Streams, tooManyStreams } from "../streams.ts";

const DESCRIPTION = `Server-sent events: first \`ready\` once the subscription is in force, so that what is published \
from then on is seen, then one \`message\` each, retained ones first; \`dropped\` with a count where the reader was \
too slow.`;

/** A reader that takes nothing for so long is cut off; what waits for it would take memory for nobody. */
const STALLED_MS = 60_000;
/** How long a reader may take over the last bytes. */
const LAST_MS = 1_000;
const OUTBOX = { messages: 10_000, bytes: 4 * 1_048_576, whenFull: "drop-oldest" } as const;
const FILTERS = 64;

/** `GET /api/v1/stream`. */
export const streamRoute = ({ port }: ApiSources, streams: Streams): Route =>
  route({
    method: "get",
    path: "/api/v1/stream",
    id: "stream",
    summary: "Messages as they come",
    scopes: ["subscribe"],
    query: z.object({
      filter: z
        .array(filterSchema)
        .max(FILTERS, { error: `at most ${FILTERS}` })
        .default(["#"]),
      retained: z.boolean({ error: "expected true or false" }).default(true),
    }),
    answers: {
      200: { description: DESCRIPTION, contentType: "text/event-stream", schema: messageSchema },
    },
    async serve({ query, caller, context }) {
      if (context.req.method === "HEAD")
        return context.body(null, 200, { "content-type": "text/event-stream" });
      // What is allowed in part goes on: every message is asked for again.
      const none = query.filter.find(
        (filter) => port.extent(caller.principal, "subscribe", filter) === "none",
      );
      if (none !== undefined) return mayNot(context, { port, caller, filter: none });
      const reader = new Reader(port, context);
      const place = streams.open(caller, () => reader.end());
      if (place === undefined) return tooManyStreams(context, streams);
      return await serveStream(reader, place, { ...query, caller });
    },
  });

function mayNot(
  context: Context,
  { port, caller, filter }: { port: Port; caller: Caller; filter: string },
): Response {
  const details = { filter, reason: "access", protocol: "http" };
  port.sessionLog.record({ who: caller.principal, what: "subscription.refused", details });
  return fail(context, 403, { code: "access", text: `no rule lets the caller subscribe to ${filter}` });
}

interface Wanted {
  readonly filter: readonly string[];
  readonly retained: boolean;
  readonly caller: Caller;
}

async function serveStream(reader: Reader, place: OpenStream, wanted: Wanted): Promise<Response> {
  try {
    await reader.attach(wanted);
  } catch (error) {
    place.close();
    throw error;
  }
  return streamSSE(reader.context, async (stream) => {
    try {
      await reader.serve(stream);
    } finally {
      place.close(reader.row());
    }
  });
}

/** One reader. Its pace is the hub's: what it leaves unread waits in a bounded outbox. */
class Reader {
  readonly context: Context;
  readonly #port: Port;
  readonly #opened = Promise.withResolvers<SSEStreamingApi>();
  readonly #gone = Promise.withResolvers<void>();
  #attachment: Attachment | undefined;
  #dropsTold = 0;
  #isOver = false;

  constructor(port: Port, context: Context) {
    this.#port = port;
    this.context = context;
  }

  async attach({ filter, retained, caller }: Wanted): Promise<void> {
    this.#attachment = await this.#port.attach({
      name: `api:stream:${randomUUID()}`,
      as: caller.principal,
      filters: filter,
      durable: false,
      outbox: OUTBOX,
      ...(retained ? { retained: "deliver" } : {}),
      deliver: (message) => this.#deliver(message),
    });
  }

  async serve(stream: SSEStreamingApi): Promise<void> {
    stream.onAbort(() => this.#gone.resolve());
    let cancel = (): void => undefined;
    const keepAlive = (): void => {
      cancel = this.#port.clock.after(KEEP_ALIVE_MS, () => {
        void this.#write(() => stream.write(": keep-alive\n\n")).then(keepAlive);
      });
    };
    try {
      const data = JSON.stringify({ attachment: this.#attachment?.name });
      await this.#write(() => stream.writeSSE({ event: "ready", data }));
      this.#opened.resolve(stream);
      keepAlive();
      await this.#gone.promise;
    } finally {
      this.#isOver = true;
      cancel();
      this.#opened.resolve(stream);
      const last = this.#port.clock.after(LAST_MS, () => this.#cut());
      await this.#attachment?.[Symbol.asyncDispose]();
      last();
    }
  }

  row(): LedgerRow | undefined {
    return this.#attachment?.ledger();
  }

  /** Ends the stream from our side. */
  end(): void {
    this.#gone.resolve();
  }

  async #deliver(message: Message): Promise<Outcome> {
    const stream = await this.#opened.promise;
    const gone: Outcome = { is: "retry", reason: "the reader has gone" };
    if (this.#isOver) return gone;
    await this.#tellDrops(stream);
    const data = JSON.stringify(messageJson(message));
    await this.#write(() => stream.writeSSE({ event: "message", id: message.id, data }));
    return stream.aborted ? gone : { is: "delivered" };
  }

  async #tellDrops(stream: SSEStreamingApi): Promise<void> {
    const { dropped = {} } = this.#attachment?.ledger() ?? {};
    const count = Object.values(dropped).reduce((sum, each) => sum + each, 0) - this.#dropsTold;
    if (count === 0) return;
    this.#dropsTold += count;
    await this.#write(() => stream.writeSSE({ event: "dropped", data: JSON.stringify({ count }) }));
  }

  async #write(write: () => Promise<unknown>): Promise<void> {
    const cancel = this.#port.clock.after(STALLED_MS, () => this.#cut());
    await write();
    cancel();
  }

  /** Ends the connection: a reader that does not read would never see an orderly end. */
  #cut(): void {
    const outgoing: unknown = Reflect.get(Object(this.context.env), "outgoing");
    if (outgoing instanceof ServerResponse) outgoing.destroy();
    this.#gone.resolve();
  }
}
