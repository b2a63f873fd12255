import { type IncomingMessage, request } from "node:http";
import type { Receipt } from "@nomq/core";
import { codeOf, NomqError } from "@nomq/core";
import type { MessageJson } from "../api/message-json.ts";
import type { PublishRequest } from "../api/publish-request.ts";
import { readEvents, type ServerSentEvent } from "./server-sent-events.ts";

/** What a stream of messages yields: first `ready`, once what is published from then on will be seen. */
export type StreamEvent =
  | { readonly event: "ready" }
  | { readonly event: "message"; readonly message: MessageJson };

/** Options of {@link ControlClient.stream}. */
export interface StreamQuery {
  readonly filters: readonly string[];
  /** Begin with the retained messages. */
  readonly retained: boolean;
  readonly signal: AbortSignal;
}

/** What a GET answered. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A running gateway, seen through its control socket. */
export interface ControlClient {
  /** Resolves with the receipt, also of a refusal. */
  publish(publish: PublishRequest): Promise<Receipt>;
  /**
   * The receipt now and after every change; ends when every outcome is final or when aborted. Rejects with
   * `request-refused` where there is none, with `closed` when the gateway stops.
   */
  follow(id: string, signal: AbortSignal): AsyncIterable<Receipt>;
  /** Ends when aborted; rejects with `closed` when the gateway stops. */
  stream(query: StreamQuery): AsyncIterable<StreamEvent>;
  /** Of what the gateway refuses, too, resolves with its answer. */
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  delete(path: string): Promise<Answer>;
}

/** Makes a client; every call connects anew. */
export function createControlClient(socketPath: string): ControlClient {
  return {
    async publish(publish) {
      const asked = { method: "POST", path: "/api/v1/publish", body: JSON.stringify(publish) };
      const answer = await jsonOf(await exchange(socketPath, asked));
      if (isReceipt(answer.body)) return answer.body;
      throw refused(answer);
    },
    follow: (id, signal) => follow(socketPath, id, signal),
    stream: (query) => stream(socketPath, query),
    get: async (path) => jsonOf(await exchange(socketPath, { method: "GET", path })),
    post: async (path, body) =>
      jsonOf(await exchange(socketPath, { method: "POST", path, body: JSON.stringify(body) })),
    delete: async (path) => jsonOf(await exchange(socketPath, { method: "DELETE", path })),
  };
}

async function* stream(socketPath: string, query: StreamQuery): AsyncGenerator<StreamEvent, void, undefined> {
  const { filters, retained, signal } = query;
  const search = new URLSearchParams({ retained: String(retained) });
  for (const filter of filters) search.append("filter", filter);
  for await (const { event, data } of events(socketPath, `/api/v1/stream?${search}`, signal)) {
    if (event === "ready") yield { event };
    // What the gateway itself wrote (message-json.ts).
    else if (event === "message") yield { event, message: JSON.parse(data) as MessageJson };
  }
  if (!signal.aborted) throw ended();
}

async function* follow(
  socketPath: string,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Receipt, void, undefined> {
  let isFinal = false;
  const path = `/api/v1/receipts/${encodeURIComponent(id)}?follow`;
  for await (const { event, data } of events(socketPath, path, signal)) {
    if (event !== "receipt") continue;
    // What the gateway itself wrote (receipts.ts).
    const receipt = JSON.parse(data) as Receipt;
    yield receipt;
    isFinal = receipt.outcomes.every(({ is }) => is !== "pending");
  }
  if (!signal.aborted && !isFinal) throw ended();
}

/** The events of one answer, to its end; an abort ends it too. */
async function* events(
  socketPath: string,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const response = await exchange(socketPath, { method: "GET", path });
  if (response.statusCode !== 200) throw refused(await jsonOf(response));
  const end = (): void => void response.destroy();
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    yield* readEvents(response);
  } catch (error) {
    if (!signal.aborted) throw ended(error);
  } finally {
    signal.removeEventListener("abort", end);
    response.destroy();
  }
}

const ended = (cause?: unknown): NomqError =>
  new NomqError("closed", "the gateway ended the stream", { cause });

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

async function exchange(socketPath: string, { method, path, body }: Call): Promise<IncomingMessage> {
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      // A connection kept from the request before may be at its end on the other side, and this one would be lost with it.
      const asking = request({ socketPath, method, path, headers, agent: false }, resolve);
      asking.once("error", reject);
      asking.end(body);
    });
  } catch (error) {
    const text = `no gateway answers at ${socketPath} (${codeOf(error)}); start one, or give --data or --config`;
    throw new NomqError("gateway-unreachable", text, { cause: error });
  }
}

async function jsonOf(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const status = response.statusCode ?? 0;
  try {
    return { status, body: JSON.parse(text) };
  } catch {
    return { status, body: text };
  }
}

function isReceipt(body: unknown): body is Receipt {
  return typeof body === "object" && body !== null && "outcomes" in body && "at" in body;
}

/** The gateway's own words of what it did not do. */
function refusalText(body: unknown): string {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : body;
  const text = typeof error === "object" && error !== null && "text" in error ? error.text : error;
  return String(text);
}

/** An answer that is no success, as an error. */
export function refused({ status, body }: Answer): NomqError {
  return new NomqError("request-refused", `the gateway answered ${status}: ${refusalText(body)}`);
}
