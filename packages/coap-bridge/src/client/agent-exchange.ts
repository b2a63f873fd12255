import { Agent, type CoapRequestParams, type OutgoingMessage } from "coap";
import { createDownload } from "../blocks/download.ts";
import type { Remote } from "../messaging/messaging.ts";
import { type BlockOption, sizeOfSzx } from "../wire/block-option.ts";
import { type CoapMessage, type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { type Code, classOf, codeText, Response } from "../wire/code.ts";
import { blockBeside, blockOf, uploadFault } from "./agent-blocks.ts";
import { type AgentSocket, createAgentSocket } from "./agent-socket.ts";
import type { CoapTarget } from "./coap-url.ts";
import { createDeadline, OPERATION_MS } from "./deadline.ts";
import { isCut, MAX_BLOCKS, MAX_BODY_BYTES } from "./read-body.ts";
import { newToken, request, type Wire } from "./request.ts";

/** One read, or one write, however many blocks its body takes. */
export interface Exchange {
  readonly to: Remote;
  readonly target: CoapTarget;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Segments after the target's path. */
  readonly below?: readonly Uint8Array[];
  readonly etag?: Uint8Array;
  readonly contentFormat?: number;
  /** Seconds that what is written is good for; servers that do not know it in requests ignore it. */
  readonly maxAge?: number;
  readonly payload?: Uint8Array;
}

/** What came of it. `sent`: whether any datagram of it has left. */
export type Exchanged =
  | {
      readonly is: "answered";
      readonly code: Code;
      /** Of the first answer that is no 2.31. */
      readonly options: readonly CoapOption[];
      /** Of a write: of the first block. */
      readonly payload: Uint8Array;
    }
  | { readonly is: "reset" | "silent" }
  | { readonly is: "broken"; readonly reason: string }
  | { readonly is: "aborted"; readonly sent: boolean };

/** So often a representation may change while it is read. */
const RESTARTS = 2;
const CHANGED = "changing";
/** The Agent would not: its own words may hold anything, and reasons are counted. */
const FAILED: Exchanged = { is: "broken", reason: "request-failed" };

const isChanged = (done: Exchanged): boolean => done.is === "broken" && done.reason === CHANGED;

/**
 * One exchange by an Agent of node-coap that lives as long as it: the Agent builds the requests and cuts and joins
 * blocks; the message layer below it and the checks of each answer here are ours, for the Agent takes answers from any
 * address, twice, out of step or of two representations. Never rejects.
 */
export async function exchange(wire: Wire, what: Exchange, signal: AbortSignal): Promise<Exchanged> {
  const { target, below = [] } = what;
  const szx = blockBeside(target.host, [...target.path, ...below, ...target.query]);
  if (szx === undefined) return { is: "broken", reason: "path-too-long" };
  const deadline = createDeadline(wire.clock, signal, OPERATION_MS);
  const done = await inBlocks(wire, what, { signal: deadline.signal, szx });
  deadline.cancel();
  const isOver = done.is === "aborted" && !signal.aborted;
  return isOver ? { is: "broken", reason: "too-slow" } : done;
}

interface Trying {
  readonly signal: AbortSignal;
  readonly szx: number;
}

async function inBlocks(wire: Wire, what: Exchange, { signal, szx }: Trying): Promise<Exchanged> {
  let first = await new AgentExchange(wire, what, { signal, szx }).run();
  for (let left = RESTARTS; left > 0 && what.method === "GET" && isChanged(first); left -= 1) {
    first = await new AgentExchange(wire, what, { signal, szx }).run();
  }
  const smaller = smallerBlock(first, what, szx);
  // RFC 7959 section 2.9.3: a 4.13 that names a smaller block asks for the body in such ones.
  return smaller === undefined ? first : new AgentExchange(wire, what, { signal, szx: smaller }).run();
}

function smallerBlock(first: Exchanged, { payload }: Exchange, szx: number): number | undefined {
  if (first.is !== "answered" || first.code !== Response.requestEntityTooLarge || payload === undefined)
    return;
  const asked = blockOf(first.options, OptionNumber.block1);
  const isSmaller = asked !== undefined && asked.szx < szx && payload.length > sizeOfSzx(asked.szx);
  return isSmaller ? asked.szx : undefined;
}

class AgentExchange {
  readonly #wire: Wire;
  readonly #what: Exchange;
  readonly #signal: AbortSignal;
  readonly #szx: number;
  readonly #done = Promise.withResolvers<Exchanged>();
  readonly #download = createDownload({ most: MAX_BODY_BYTES, restarts: 0 });
  #blocks = 0;
  readonly #socket: AgentSocket;
  readonly #agent: Agent;
  /** The answer that brought the first block of a body that is now whole. */
  #head: CoapMessage | undefined;
  /** An earlier request of this exchange has left. */
  #wasSent = false;
  #isOver = false;

  constructor(wire: Wire, what: Exchange, { signal, szx }: Trying) {
    this.#wire = wire;
    this.#what = what;
    this.#signal = signal;
    this.#szx = szx;
    this.#socket = createAgentSocket((message) => void this.#send(message));
    this.#agent = new Agent({ type: "udp4", socket: this.#socket.socket });
  }

  async run(): Promise<Exchanged> {
    if (this.#signal.aborted) return { is: "aborted", sent: false };
    const outgoing = this.#begin();
    try {
      return await this.#done.promise;
    } finally {
      // Ends its timers.
      if (outgoing !== undefined) this.#agent.abort(outgoing);
    }
  }

  #begin(): OutgoingMessage | undefined {
    const { payload } = this.#what;
    try {
      const outgoing = this.#agent.request(this.#parameters());
      outgoing.on("error", () => this.#end(FAILED));
      outgoing.on("response", ({ payload: whole }: { readonly payload: Uint8Array }) =>
        this.#answered(whole),
      );
      this.#name(outgoing);
      if (payload !== undefined && payload.length > sizeOfSzx(this.#szx)) {
        outgoing.setOption("Block1", Buffer.of(this.#szx));
        outgoing.setOption("Size1", payload.length);
      }
      outgoing.end(payload === undefined ? undefined : Buffer.from(payload));
      return outgoing;
    } catch {
      this.#end(FAILED);
      return undefined;
    }
  }

  #parameters(): CoapRequestParams {
    const { to, method } = this.#what;
    // The message layer repeats; the Agent's own repetitions and 247 s would come on top.
    return {
      host: to.host,
      port: to.port,
      method,
      retrySend: 0,
      token: Buffer.from(newToken(this.#wire.random)),
    };
  }

  /** Options as bytes: the Agent leaves percent-encoding in paths, drops empty levels and takes entity tags for text. */
  #name(outgoing: OutgoingMessage): void {
    const { target, below = [], etag, contentFormat, maxAge } = this.#what;
    const buffers = (values: readonly Uint8Array[]): Buffer[] => values.map((value) => Buffer.from(value));
    if (target.isName) outgoing.setOption("Uri-Host", Buffer.from(target.host));
    outgoing.setOption("Uri-Path", buffers([...target.path, ...below]));
    outgoing.setOption("Uri-Query", buffers(target.query));
    if (etag !== undefined) outgoing.setOption("ETag", Buffer.from(etag));
    if (contentFormat !== undefined) outgoing.setOption("Content-Format", formatValue(contentFormat));
    if (maxAge !== undefined) outgoing.setOption("Max-Age", maxAge);
  }

  async #send({ code, token, options, payload }: CoapMessage): Promise<void> {
    // The Agent's own bytes may be reused by it before a repetition.
    const what = {
      to: this.#what.to,
      code,
      token: Uint8Array.from(token),
      options: copied(options),
      payload,
    };
    const reply = await request(this.#wire, what, this.#signal);
    if (reply.is === "aborted") {
      this.#end({ is: "aborted", sent: this.#wasSent || reply.sent });
      return;
    }
    this.#wasSent = true;
    if (reply.is !== "answered") {
      this.#end(reply);
      return;
    }
    this.#check(reply.response, blockOf(options, OptionNumber.block1));
  }

  /** What the Agent must not see ends the exchange here. */
  #check(response: CoapMessage, uploaded: BlockOption | undefined): void {
    if (classOf(response.code) !== 2) {
      this.#finish(response, response.payload);
      return;
    }
    if (uploaded !== undefined) {
      const fault = uploadFault(uploaded, response);
      if (fault !== undefined) {
        this.#end({ is: "broken", reason: fault });
        return;
      }
      if (uploaded.more) {
        this.#pass(response);
        return;
      }
    }
    if (response.code === Response.continue) {
      this.#end({ is: "broken", reason: `answered ${codeText(response.code)} to a whole request` });
      return;
    }
    // A write is over with its code. Asking for the rest of its answer repeats the method: not every server knows that
    // it must not run it again.
    if (this.#what.method !== "GET") {
      this.#finish(response, response.payload);
      return;
    }
    const fault = this.#downloadFault(response);
    if (fault !== undefined) {
      this.#end({ is: "broken", reason: fault });
      return;
    }
    this.#pass(response);
  }

  /** The Agent appends whatever block comes: only the next one of the same version is passed on. */
  #downloadFault(response: CoapMessage): string | undefined {
    const before = this.#download.bytes();
    const step = this.#download.take(response);
    this.#blocks += 1;
    // Begun anew by a first block that nobody asked for: the Agent would append it.
    const isAnew = before > 0 && this.#download.bytes() !== before + response.payload.length;
    if (isAnew && step.is !== "failed" && step.is !== "ignored") return CHANGED;
    switch (step.is) {
      case "whole":
        this.#head = step.first;
        return isCut(step.first.options, step.body) ? "cut-short" : undefined;
      case "more":
        return this.#blocks >= MAX_BLOCKS ? "too-large" : undefined;
      case "ignored":
        return "block-out-of-step";
      case "failed":
        return step.reason;
    }
  }

  #pass(response: CoapMessage): void {
    if (this.#isOver) return;
    try {
      this.#socket.answer(response);
    } catch {
      this.#end(FAILED);
    }
  }

  #answered(whole: Uint8Array): void {
    if (this.#head !== undefined) this.#finish(this.#head, whole);
  }

  #finish({ code, options }: CoapMessage, payload: Uint8Array): void {
    this.#end({ is: "answered", code, options: copied(options), payload: Uint8Array.from(payload) });
  }

  #end(how: Exchanged): void {
    this.#isOver = true;
    this.#done.resolve(how);
  }
}

const formatValue = (format: number): Buffer =>
  format > 0xff ? Buffer.of(format >> 8, format & 0xff) : format === 0 ? Buffer.alloc(0) : Buffer.of(format);

const copied = (options: readonly CoapOption[]): CoapOption[] =>
  options.map(({ number, value }) => ({ number, value: Uint8Array.from(value) }));
