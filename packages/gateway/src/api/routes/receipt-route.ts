import type { Port, Receipt } from "@nomq/core";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { z } from "zod";
import type { Caller } from "../caller.ts";
import { fail } from "../failure.ts";
import { type Route, route } from "../route.ts";
import { receiptSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";
import { KEEP_ALIVE_MS, type OpenStream, type Streams, tooManyStreams } from "../streams.ts";

/**
 * `GET /api/v1/receipts/ID`. With `?follow` server-sent events: one `receipt` with what is known now, another after
 * each change (a slow reader sees the latest), and the end of the stream once every outcome is final.
 */
export const receiptRoute = ({ port }: ApiSources, streams: Streams): Route =>
  route({
    method: "get",
    path: "/api/v1/receipts/{id}",
    id: "receipt",
    summary: "What became of a message; with follow, server-sent events that end when every outcome is final",
    scopes: ["publish", "subscribe", "admin"],
    params: z.object({ id: z.string() }),
    query: z.object({ follow: z.boolean({ error: "expected true or false" }).default(false) }),
    answers: { 200: { description: "Its receipt", schema: receiptSchema } },
    async serve({ params: { id }, query, caller, context }) {
      const receipt = await port.receipt(id);
      // A receipt tells of a channel: whoever may neither write nor read it learns nothing, not even that it is there.
      if (receipt === undefined || !mayKnow(port, caller, receipt)) {
        return fail(context, 404, { code: "not-found", text: "no such receipt" });
      }
      if (!query.follow || context.req.method === "HEAD") return context.json(receipt);
      const gone = new AbortController();
      const place = streams.open(caller, () => gone.abort());
      return place === undefined
        ? tooManyStreams(context, streams)
        : followed(context, port, { receipt, gone, place });
    },
  });

const mayKnow = (port: Port, { principal, scopes }: Caller, { channel }: Receipt): boolean =>
  scopes.includes("admin") ||
  port.may(principal, "publish", channel) ||
  port.may(principal, "subscribe", channel);

interface Followed {
  readonly receipt: Receipt;
  readonly gone: AbortController;
  readonly place: OpenStream;
}

function followed(context: Context, port: Port, { receipt, gone, place }: Followed): Response {
  return streamSSE(context, async (stream) => {
    stream.onAbort(() => gone.abort());
    const cancel = keepAlive(stream, port);
    try {
      for await (const now of port.follow(receipt.id, { signal: gone.signal })) {
        await stream.writeSSE({ event: "receipt", data: JSON.stringify(now) });
      }
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    } finally {
      cancel();
      gone.abort();
      place.close();
    }
  });
}

function keepAlive(stream: SSEStreamingApi, { clock }: Port): () => void {
  let isOver = false;
  let cancel = (): void => undefined;
  const again = (): void => {
    if (isOver) return;
    cancel = clock.after(KEEP_ALIVE_MS, () => void stream.write(": keep-alive\n\n").then(again));
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}
