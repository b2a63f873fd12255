import { type Port, type Receipt, systemClock } from "@nomq/core";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { fail } from "./failure.ts";

/** So that a connection whose other side vanished is noticed. */
const KEEP_ALIVE_MS = 15_000;

/**
 * `GET /api/v1/receipts/ID`. With `?follow` server-sent events: one `receipt` with what is known now, another after
 * each change (a slow reader sees the latest), and the end of the stream once every outcome is final.
 */
export async function receiptOf(context: Context, port: Port): Promise<Response> {
  const id = context.req.param("id") ?? "";
  if (context.req.query("follow") !== undefined) return await follow(context, port, id);
  const receipt = await port.receipt(id);
  return receipt === undefined ? unknown(context) : context.json(receipt);
}

const unknown = (context: Context): Response =>
  fail(context, 404, { code: "not-found", text: "no such receipt" });

async function follow(context: Context, port: Port, id: string): Promise<Response> {
  const gone = new AbortController();
  const changes = port.follow(id, { signal: gone.signal })[Symbol.asyncIterator]();
  const first = await changes.next();
  if (first.done === true) return unknown(context);
  return streamSSE(context, async (stream) => {
    stream.onAbort(() => gone.abort());
    const cancel = keepAlive(stream);
    try {
      for (let next: IteratorResult<Receipt> = first; next.done !== true; next = await changes.next()) {
        await stream.writeSSE({ event: "receipt", data: JSON.stringify(next.value) });
      }
    } finally {
      cancel();
      gone.abort();
      await changes.return?.();
    }
  });
}

function keepAlive(stream: SSEStreamingApi): () => void {
  let isOver = false;
  let cancel = (): void => undefined;
  const again = (): void => {
    if (isOver) return;
    cancel = systemClock.after(KEEP_ALIVE_MS, () => void stream.write(": keep-alive\n\n").then(again));
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}

/** The receipt when every outcome is final, or as it is after `timeout` milliseconds. */
export async function whenFinal(port: Port, receipt: Receipt, timeout: number): Promise<Receipt> {
  const deadline = new AbortController();
  const cancel = port.clock.after(timeout, () => deadline.abort());
  let last = receipt;
  try {
    for await (const now of port.follow(receipt.id, { signal: deadline.signal })) last = now;
  } catch (error) {
    if (!deadline.signal.aborted) throw error;
  } finally {
    cancel();
  }
  return last;
}
