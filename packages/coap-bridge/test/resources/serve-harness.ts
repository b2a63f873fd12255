import {
  type Access,
  createHub,
  createMemoryStore,
  type Hub,
  type Port,
  silentLog,
  silentSessionLog,
} from "@nomq/core";
import { createFakeClock, createFaultyStore, type FakeClock, type FaultyStore } from "@nomq/core/testing";
import { createServerBlocks } from "../../src/blocks/server-blocks.ts";
import { type Counters, createCounters } from "../../src/counters.ts";
import type { IncomingRequest, Remote, Serve } from "../../src/messaging/messaging.ts";
import { type CoapListener, listenerSettings } from "../../src/options.ts";
import { createReader } from "../../src/resources/read.ts";
import { createTransfers } from "../../src/resources/transfers.ts";
import { createWriter } from "../../src/resources/write.ts";
import { createAdmission, gatesOf } from "../../src/server/admission.ts";
import { createGet } from "../../src/server/get.ts";
import { createFinish, createServe, type Elsewhere } from "../../src/server/serve.ts";
import { type CoapOption, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { codeText, Method, Response } from "../../src/wire/code.ts";
import { readUint, uintValue } from "../../src/wire/option-value.ts";
import { createUriPaths } from "../../src/wire/uri-path.ts";
import { decodeTail } from "./decode-tail.ts";

/** What a request says; options other than path and query by their numbers. */
export interface Ask {
  readonly path: string | readonly (string | Uint8Array)[];
  readonly query?: readonly (string | Uint8Array)[];
  readonly options?: readonly (readonly [number: number, value: Uint8Array | number | string])[];
  readonly payload?: string | Uint8Array;
  readonly type?: "con" | "non";
  readonly from?: string;
  readonly messageId?: number;
  readonly toGroup?: boolean;
}

/** What came back. */
export interface Told {
  readonly code: string;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  readonly text: string;
  readonly format: number | undefined;
  readonly maxAge: number | undefined;
  readonly etag: Uint8Array | undefined;
}

/** A hub, and the way of requests into it, without a network. */
export interface Served extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: Port;
  readonly clock: FakeClock;
  readonly store: FaultyStore;
  readonly counters: Counters;
  /** Told to observers: `changed CHANNEL TEXT` and `deleted CHANNEL`. */
  readonly told: string[];
  ask(method: keyof typeof Method | number, ask: Ask): Promise<Told>;
}

const bytes = (value: Uint8Array | number | string): Uint8Array =>
  typeof value === "number" ? uintValue(value) : typeof value === "string" ? Buffer.from(value) : value;

let lastId = 0;

/** The request as the message layer hands it on. */
export function requestOf(method: keyof typeof Method | number, ask: Ask): Omit<IncomingRequest, "from"> {
  const levels = typeof ask.path === "string" ? ask.path.split("/") : ask.path;
  const options = [
    ...levels.map((level) => ({ number: OptionNumber.uriPath, value: bytes(level) })),
    ...(ask.query ?? []).map((one) => ({ number: OptionNumber.uriQuery, value: bytes(one) })),
    ...(ask.options ?? []).map(([number, value]) => ({ number, value: bytes(value) })),
  ].toSorted((a, b) => a.number - b.number);
  lastId += 1;
  return {
    type: ask.type === "non" ? MessageType.nonConfirmable : MessageType.confirmable,
    code: typeof method === "number" ? method : Method[method],
    messageId: ask.messageId ?? lastId % 65_536,
    token: Uint8Array.of(lastId & 0xff),
    fingerprint: ask.messageId ?? lastId,
    options,
    payload: bytes(ask.payload ?? ""),
    toGroup: ask.toGroup ?? false,
  };
}

/** Makes and starts it. */
export async function serveHub(
  options: {
    readonly access?: Access;
    readonly listener?: Omit<CoapListener, "url">;
    readonly prefix?: string;
  } = {},
): Promise<Served> {
  const clock = createFakeClock();
  const store = createFaultyStore(createMemoryStore({ clock }));
  const hub = createHub({
    store,
    clock,
    ...(options.access === undefined ? {} : { access: options.access }),
  });
  await hub.start();
  const port = hub.port("coap");
  const counters = createCounters();
  const told: string[] = [];
  const serve = makeServe({ port, counters, told, ...options });
  const remotes = new Map<string, Remote>();
  const remote = (host: string): Remote => {
    const known = remotes.get(host);
    if (known !== undefined) return known;
    const made = { host, port: 40_000, key: `udp ${host} 40000`, via: "here", proven: true };
    remotes.set(host, made);
    return made;
  };
  return {
    ...{ hub, port, clock, store, counters, told },
    async ask(method, ask) {
      const request = { ...requestOf(method, ask), from: remote(ask.from ?? "127.0.0.1") };
      const answer = await serve(request);
      if (answer === undefined) throw new Error("no answer");
      const { options: said, payload } = decodeTail(answer.tail);
      const first = (number: number): Uint8Array | undefined =>
        said.find((option) => option.number === number)?.value;
      const uint = (number: number): number | undefined => {
        const value = first(number);
        return value === undefined ? undefined : readUint(value, 4);
      };
      return {
        ...{ code: codeText(answer.code), options: said, payload, text: Buffer.from(payload).toString() },
        ...{ format: uint(OptionNumber.contentFormat), maxAge: uint(OptionNumber.maxAge) },
        etag: first(OptionNumber.etag),
      };
    },
    async [Symbol.asyncDispose]() {
      store.heal();
      const stopped = hub[Symbol.asyncDispose]();
      // Grace periods for deliveries that are still open.
      await clock.advance(10_000);
      await stopped;
    },
  };
}

function makeServe({
  port,
  counters,
  told,
  listener = {},
  prefix,
}: {
  readonly port: Port;
  readonly counters: Counters;
  readonly told: string[];
  readonly listener?: Omit<CoapListener, "url">;
  readonly prefix?: string;
}): Serve {
  const { clock } = port;
  const [gate] = gatesOf(listenerSettings({ listen: [{ url: "coap://127.0.0.1:0", ...listener }] }));
  if (gate === undefined) throw new Error("no gate");
  const admission = createAdmission({
    gates: new Map([["here", gate]]),
    log: silentLog,
    sessionLog: silentSessionLog,
  });
  const paths = createUriPaths(prefix);
  const blocks = createServerBlocks({ clock });
  const reader = createReader({ clock });
  const writer = createWriter({
    port,
    segments: (channel) => paths.segments(channel),
    transfers: createTransfers(port, clock),
    taken: {
      changed: ({ channel, payload }) => void told.push(`changed ${channel} ${Buffer.from(payload)}`),
      isWatched: () => true,
      deleted: (channel) => void told.push(`deleted ${channel}`),
    },
    refused: (reason) => counters.add("messagesRefused", reason),
  });
  const get = createGet({ port, reader, observers: undefined, finish: createFinish(blocks) });
  const elsewhere: Elsewhere = { channels: new Map(), answer: () => ({ code: Response.notFound }) };
  return createServe({ port, log: silentLog, admission, paths, blocks, get, writer, elsewhere, counters });
}
