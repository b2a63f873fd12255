import type { AckPoint, Draft, Message, Port, Principal, Receipt } from "@nomq/core";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import { draftFromRequest, type PublishQuery } from "../mapping.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { NOT_IN_TIME, type Refusal, refusalOf } from "../refusals.ts";
import { type CoapOption, MessageType, NO_BYTES, OptionNumber } from "../wire/coap-message.ts";
import { Method, Response } from "../wire/code.ts";
import { contentTypeOf } from "../wire/content-format.ts";
import { uintValue } from "../wire/option-value.ts";
import { uintOption } from "../wire/options.ts";
import { readQuery } from "../wire/uri-query.ts";
import { createChannelLocks } from "./channel-locks.ts";
import { areMet, conditionsOf } from "./conditions.ts";
import { OBSERVERS_ATTACHMENT } from "./parameters.ts";
import { DELETE_PARAMETERS, readPublishQuery } from "./publish-query.ts";
import { etagsOf } from "./representation.ts";
import type { Transfers } from "./transfers.ts";

/** A PUT, POST or DELETE that may be done. */
export interface Writing {
  readonly request: IncomingRequest;
  readonly channel: string;
  readonly as: Principal;
  /** The whole body, of all its blocks. */
  readonly payload: Uint8Array;
  /** When it is answered. */
  readonly ack: AckPoint;
  /** How long `delivered` waits, in milliseconds. */
  readonly ackTimeout: number;
}

/** Told of what the hub has taken, before it is answered. */
export interface Taken {
  changed(message: Message): void;
  /** Whether that matters to anybody. */
  isWatched(channel: string): boolean;
  deleted(channel: string, seq: number): void;
}

/** What a writer needs. */
export interface WriterOptions {
  readonly port: Port;
  /** The path of a channel, for Location-Path. */
  readonly segments: (channel: string) => readonly Uint8Array[] | undefined;
  readonly transfers: Transfers;
  readonly taken: Taken;
  /** Counts what was not done, by the hub's or the request's reason. */
  readonly refused: (reason: string) => void;
}

/** PUT, POST and DELETE. */
export interface Writer {
  write(writing: Writing): Whole | Promise<Whole>;
  /** Resolves when no write waits for the hub. */
  idle(): Promise<void>;
}

/** What became of a publish, and whether there was a value before. */
interface Published {
  readonly receipt: Receipt;
  readonly existed: boolean;
}

interface Ready {
  readonly draft: Draft;
  readonly query: PublishQuery;
}

const NOT_MET = plainAnswer(Response.preconditionFailed);
const CHANGED = plainAnswer(Response.changed);

/** Makes the way of writes into the hub. */
export function createWriter(options: WriterOptions): Writer {
  const { port, taken, transfers } = options;
  const locks = createChannelLocks();
  let underWay = 0;
  let atRest: (() => void)[] = [];
  const say = (reason: string, refusal: Refusal): Whole => {
    options.refused(reason);
    return said(refusal);
  };
  const refuse = (reason: string, { code, why }: Refusal): { readonly refused: Whole } => ({
    refused: say(reason, { code, why }),
  });

  const ready = ({ request, channel, payload }: Writing): Ready | { readonly refused: Whole } => {
    const read = readQuery(request.options);
    if (read.is === "refused") {
      const isUtf8 = read.fault !== "not-utf8";
      const why = isUtf8 ? "a parameter is given twice" : "query is no UTF-8";
      return refuse("query-invalid", { code: isUtf8 ? Response.badRequest : Response.badOption, why });
    }
    const isDelete = request.code === Method.delete;
    const asked = readPublishQuery(read.parameters, isDelete ? DELETE_PARAMETERS : undefined);
    if ("fault" in asked) return refuse("query-invalid", { code: Response.badRequest, why: asked.fault });
    const type =
      request.type === MessageType.confirmable ? MessageType.confirmable : MessageType.nonConfirmable;
    const { query } = asked;
    if (isDelete) {
      const cleared = { channel, type, method: Method.put, payload: NO_BYTES, query } as const;
      return { query, draft: { ...draftFromRequest(cleared), retain: true } };
    }
    const contentFormat = uintOption(request.options, OptionNumber.contentFormat, 2);
    if (contentFormat !== undefined && contentTypeOf(contentFormat) === undefined) {
      return refuse("format-unsupported", { code: Response.unsupportedContentFormat, why: "" });
    }
    const maxAge = uintOption(request.options, OptionNumber.maxAge, 4);
    const asking = { channel, type, method: request.code, payload, contentFormat, maxAge, query };
    return { query, draft: draftFromRequest(asking) };
  };

  /** Resolves at the point that is to be acknowledged: a value is never acknowledged before a GET can see it. */
  const publish = (writing: Writing, { draft, query }: Ready): Promise<Receipt> => {
    const isQuick = writing.ack === "accepted" && draft.retain !== true;
    const once = transfers.nameOf(writing.request, {
      qos: draft.qos ?? 0,
      id: query.id,
      channel: draft.channel,
    });
    const asked = { until: isQuick ? "accepted" : "stored", attachment: OBSERVERS_ATTACHMENT } as const;
    if (once === undefined) return port.publish(draft, writing.as, asked);
    const { name, state } = once;
    return port.publish(draft, writing.as, { ...asked, once: name, state }).then((receipt) => {
      if (receipt.repeated !== true) transfers.begun(once, receipt.at !== "refused");
      return receipt;
    });
  };
  const tell = (draft: Draft, receipt: Receipt, isDelete: boolean): void => {
    if (receipt.reason === "echo" || receipt.repeated === true || !taken.isWatched(draft.channel)) return;
    const message = messageOf(draft, receipt, port.clock.now());
    if (isDelete) taken.deleted(message.channel, message.seq);
    else taken.changed(message);
  };
  /** Decides about the conditions, publishes and tells observers; undefined: they are not met. */
  const locked = async (writing: Writing, one: Ready): Promise<Published | undefined> => {
    const isDelete = writing.request.code === Method.delete;
    const conditions = conditionsOf(writing.request.options);
    const asksFirst = conditions !== undefined || (one.draft.retain === true && !isDelete);
    // What is there is asked for as the hub's own: whoever may set a value is told whether there was one.
    const current = asksFirst ? await port.latest(writing.channel, "*") : undefined;
    if (conditions !== undefined && !areMet(conditions, current && etagsOf(current))) return undefined;
    const receipt = await publish(writing, one);
    if (receipt.at !== "refused") tell(one.draft, receipt, isDelete);
    return { receipt, existed: current !== undefined };
  };
  const delivered = async ({ id }: Receipt, ackTimeout: number): Promise<boolean> => {
    const giveUp = new AbortController();
    const cancel = port.clock.after(ackTimeout, () => giveUp.abort());
    try {
      let last: Receipt | undefined;
      for await (const next of port.follow(id, { signal: giveUp.signal })) last = next;
      return last === undefined || last.at === "delivered" || last.outcomes.length === 0;
    } finally {
      cancel();
    }
  };
  const answer = (writing: Writing, { draft, query }: Ready, existed: boolean): Whole => {
    const { code } = writing.request;
    if (code === Method.delete) return plainAnswer(Response.deleted);
    const isCreated = draft.retain === true && draft.payload.length > 0 && !existed;
    if (!isCreated) return CHANGED;
    return plainAnswer(Response.created, code === Method.post ? location(writing.channel, query) : []);
  };
  /** Where the value is that a POST has set (RFC 7252 section 5.8.2), and how it can be observed likewise. */
  const location = (channel: string, { qos, priority }: PublishQuery): CoapOption[] => [
    ...(options.segments(channel) ?? []).map((value) => ({ number: OptionNumber.locationPath, value })),
    ...Object.entries({ qos, priority }).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [{ number: OptionNumber.locationQuery, value: Buffer.from(`${name}=${value}`) }],
    ),
  ];
  const ended = (writing: Writing, one: Ready, { receipt, existed }: Published): Whole | Promise<Whole> => {
    if (receipt.at === "refused") return say(receipt.reason ?? "refused", refusalOf(receipt.reason ?? ""));
    const isAwaited = writing.ack === "delivered" && writing.request.type === MessageType.confirmable;
    if (!isAwaited || receipt.reason === "echo") return answer(writing, one, existed);
    return delivered(receipt, writing.ackTimeout).then((isDone) =>
      isDone ? answer(writing, one, existed) : say("timeout", NOT_IN_TIME),
    );
  };
  const left = (): void => {
    underWay -= 1;
    if (underWay > 0) return;
    for (const rest of atRest) rest();
    atRest = [];
  };

  /** Nearly every write: it waits for nobody, and the hub has in memory what is there. One promise for all of it. */
  const writeAtOnce = (writing: Writing, one: Ready): Promise<Whole> | undefined => {
    const { draft } = one;
    const isDelete = writing.request.code === Method.delete;
    if (conditionsOf(writing.request.options) !== undefined) return undefined;
    const current = draft.retain === true && !isDelete ? port.latestNow(writing.channel, "*") : "none";
    const leave = current === undefined ? undefined : locks.enter(writing.channel, false);
    if (leave === undefined) return undefined;
    return publish(writing, one).then(
      (receipt) => {
        leave();
        let whole: Whole | Promise<Whole> | undefined;
        try {
          if (receipt.at !== "refused") tell(draft, receipt, isDelete);
          whole = ended(writing, one, { receipt, existed: current !== "none" });
          return whole instanceof Promise ? whole.finally(left) : whole;
        } finally {
          if (!(whole instanceof Promise)) left();
        }
      },
      (error: unknown) => {
        leave();
        left();
        throw error;
      },
    );
  };
  const writeInTurn = async (writing: Writing, one: Ready): Promise<Whole> => {
    const alone = conditionsOf(writing.request.options) !== undefined;
    const leave = locks.enter(writing.channel, alone) ?? (await locks.wait(writing.channel, alone));
    try {
      const done = await locked(writing, one);
      leave();
      if (done !== undefined) return await ended(writing, one, done);
      options.refused("precondition");
      return NOT_MET;
    } finally {
      leave();
      left();
    }
  };

  return {
    write(writing) {
      const one = ready(writing);
      if ("refused" in one) return one.refused;
      underWay += 1;
      return writeAtOnce(writing, one) ?? writeInTurn(writing, one);
    },
    idle: () => (underWay === 0 ? Promise.resolve() : new Promise((resolve) => atRest.push(resolve))),
  };
}

/** A refusal as a response, with the Max-Age of a 5.03. */
export function said({ code, why, again }: Refusal): Whole {
  const options = again === undefined ? [] : [{ number: OptionNumber.maxAge, value: uintValue(again) }];
  return plainAnswer(code, options, why);
}

/** The message as the hub has it: the last 16 digits of its id are its number (docs/hub.md). */
function messageOf(draft: Draft, { id }: Receipt, now: number): Message {
  const { channel, payload, qos = 0, retain = false, priority = 0, ttlMs, contentType } = draft;
  const seq = Number.parseInt(id.slice(16), 16);
  const message: { -readonly [Key in keyof Message]: Message[Key] } = {
    ...{ id, seq, channel, payload, qos, retain, priority, publishedAt: now, origin: OBSERVERS_ATTACHMENT },
  };
  if (ttlMs !== undefined) message.expiresAt = now + ttlMs;
  if (contentType !== undefined) message.contentType = contentType;
  return message;
}
