import { type Action, type Log, type Port, type Principal, recordAccessRefusal } from "@nomq/core";
import { concernsBlocks, type ServerBlocks } from "../blocks/server-blocks.ts";
import { tooLarge, type Upload } from "../blocks/uploads.ts";
import { encoded, plainAnswer, type Whole } from "../blocks/whole.ts";
import type { Counters } from "../counters.ts";
import type { Answer, IncomingRequest, Serve } from "../messaging/messaging.ts";
import type { ListenerSettings } from "../options.ts";
import type { Writer } from "../resources/write.ts";
import { LARGEST_BLOCK_BYTES } from "../wire/block-option.ts";
import { type Code, Method, Response } from "../wire/code.ts";
import type { PathFault, UriPaths } from "../wire/uri-path.ts";
import type { Admission } from "./admission.ts";
import type { Get } from "./get.ts";

/** A request for what is no channel, and what is needed on its way. */
export interface ElsewhereAsked {
  readonly request: IncomingRequest;
  /** Levels joined by `/`; empty: the root, or what cannot be joined. */
  readonly path: string;
  readonly as: Principal;
  /** Waits for all blocks of the body, and cuts the answer into blocks. */
  readonly withBody: (run: RunOnBody) => ReturnType<Serve>;
  /** 4.03, counted and recorded. */
  readonly forbid: (action: Action, name: string) => Answer;
}

/** Runs a method on a whole body; undefined: nothing is said. */
export type RunOnBody = (payload: Uint8Array) => Whole | undefined | Promise<Whole | undefined>;

/** What is no channel: discovery, and what else is off the hot path. */
export interface Elsewhere {
  /** Channels that cannot be reached, because something else is at their path: that path. */
  readonly channels: ReadonlyMap<string, string>;
  answer(asked: ElsewhereAsked): ReturnType<Serve>;
}

/** What the way of a request leads through. */
export interface ServeOptions {
  readonly port: Pick<Port, "may" | "sessionLog">;
  readonly log: Log;
  readonly admission: Admission;
  readonly paths: UriPaths;
  readonly blocks: ServerBlocks;
  readonly get: Get;
  readonly writer: Writer;
  readonly elsewhere: Elsewhere;
  readonly counters: Counters;
}

/** A request that may go on: who asks, through which listener. */
interface Admitted {
  readonly request: IncomingRequest;
  readonly as: Principal;
  readonly settings: ListenerSettings;
}

/** Of a request; `upload` only after Block1. */
interface Body {
  readonly payload: Uint8Array;
  readonly upload?: Upload;
}

const answer = (code: Code, why = ""): Answer => encoded(plainAnswer(code, [], why));
const UNAUTHORIZED: Answer = answer(Response.unauthorized);
const FORBIDDEN: Answer = answer(Response.forbidden, "not allowed");
const NOT_ALLOWED: Answer = answer(Response.methodNotAllowed);
const FAILED: Whole = plainAnswer(Response.internalServerError);

/** Cuts an answer to the block that was asked for, and encodes it. */
export function createFinish(blocks: ServerBlocks) {
  return (request: IncomingRequest, whole: Whole, upload?: Upload): Answer => {
    const isWhole =
      upload === undefined && whole.payload.length <= LARGEST_BLOCK_BYTES && !concernsBlocks(request);
    return encoded(isWhole ? whole : blocks.answer(request, whole, upload));
  };
}

/** Makes the way of one request: who asks, for what, with how much of a body, and what is done. */
export function createServe(options: ServeOptions): Serve {
  const { port, admission, paths, blocks, get, writer, elsewhere, counters } = options;
  const finish = createFinish(blocks);

  const failed = (error: unknown): Whole => {
    counters.add("failures", "unforeseen");
    options.log.error("a CoAP request failed", { error: String(error) });
    return FAILED;
  };
  const say = (request: IncomingRequest, whole: Whole | undefined, upload?: Upload): Answer | undefined =>
    whole && finish(request, whole, upload);
  /** All of the body is here. */
  const done = (request: IncomingRequest, run: RunOnBody, { payload, upload }: Body): ReturnType<Serve> => {
    try {
      const whole = run(payload);
      if (!(whole instanceof Promise)) return say(request, whole, upload);
      return whole.then(
        (ran) => say(request, ran, upload),
        (error: unknown) => say(request, failed(error), upload),
      );
    } catch (error) {
      return say(request, failed(error), upload);
    }
  };
  /** The body of all blocks is here, or what this block is answered. */
  const withBody = ({ request, settings }: Admitted, run: RunOnBody): ReturnType<Serve> => {
    if (!concernsBlocks(request)) {
      const { maxPayload } = settings;
      return request.payload.length <= maxPayload
        ? done(request, run, request)
        : encoded(tooLarge(maxPayload));
    }
    const received = blocks.receive(request, settings.maxPayload);
    switch (received.is) {
      case "body":
        return done(request, run, received);
      case "answer":
        return encoded(received.answer);
      case "again":
        return received.answer.then(encoded);
    }
  };
  /** Counted, and recorded where the operator is told which rule would allow it. */
  const forbid = (who: Principal, action: "publish" | "subscribe", name: string): Answer => {
    counters.add(action === "publish" ? "messagesRefused" : "readsRefused", "access");
    recordAccessRefusal(port.sessionLog, { who, action, name, protocol: "coap" });
    return FORBIDDEN;
  };
  const read = (admitted: Admitted, channel: string): Answer | Promise<Answer> => {
    const { request, as } = admitted;
    if (!port.may(as, "subscribe", channel)) return forbid(as, "subscribe", channel);
    if (concernsBlocks(request)) {
      const received = blocks.receive(request, admitted.settings.maxPayload);
      if (received.is !== "body") {
        return received.is === "answer" ? encoded(received.answer) : received.answer.then(encoded);
      }
    }
    try {
      const answered = get(request, channel, as);
      return answered instanceof Promise
        ? answered.catch((error: unknown) => encoded(failed(error)))
        : answered;
    } catch (error) {
      return encoded(failed(error));
    }
  };
  const write = (admitted: Admitted, channel: string): ReturnType<Serve> => {
    const { request, as, settings } = admitted;
    if (!port.may(as, "publish", channel)) return forbid(as, "publish", channel);
    const { ack, ackTimeout } = settings;
    return withBody(admitted, (payload) => writer.write({ request, channel, as, payload, ack, ackTimeout }));
  };
  const onChannel = (admitted: Admitted, channel: string): ReturnType<Serve> => {
    switch (admitted.request.code) {
      case Method.get:
        return read(admitted, channel);
      case Method.put:
      case Method.post:
      case Method.delete:
        return admitted.request.toGroup ? NOT_ALLOWED : write(admitted, channel);
      default:
        return NOT_ALLOWED;
    }
  };
  const notChannel = (admitted: Admitted, path: string): ReturnType<Serve> => {
    const { request, as } = admitted;
    return elsewhere.answer({
      ...{ request, path, as },
      withBody: (run) => withBody(admitted, run),
      forbid: (action, name) => forbid(as, action, name),
    });
  };
  const onPath = (admitted: Admitted, channel: string): ReturnType<Serve> => {
    const path = elsewhere.channels.get(channel);
    return path === undefined ? onChannel(admitted, channel) : notChannel(admitted, path);
  };
  const onNoChannel = ({ code }: IncomingRequest, fault: PathFault): Answer => {
    const isRead = code === Method.get || code === Method.fetch;
    counters.add(isRead ? "readsRefused" : "messagesRefused", "channel-invalid");
    // An option value that is none is an option we do not know (RFC 7252 section 5.4.3).
    if (fault === "not-utf8") return answer(Response.badOption, "path is no UTF-8");
    return answer(isRead ? Response.notFound : Response.badRequest, "not a channel name");
  };

  return (request) => {
    const as = admission.principalOf(request.from);
    const settings = admission.settingsOf(request.from);
    if (as === undefined || settings === undefined) {
      counters.add("clientsRefused", "anonymous");
      return UNAUTHORIZED;
    }
    const target = paths.target(request.options);
    const admitted = { request, as, settings };
    switch (target.is) {
      case "channel":
        return onPath(admitted, target.channel);
      case "elsewhere":
        return notChannel(admitted, target.segments.some(hasSlash) ? "" : target.segments.join("/"));
      case "refused":
        return onNoChannel(request, target.fault);
    }
  };
}

const hasSlash = (segment: string): boolean => segment.includes("/");
