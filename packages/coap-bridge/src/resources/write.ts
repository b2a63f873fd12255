import type { AckPoint, Draft, Message, Port, Principal, Receipt } from "@nomq/core";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import { draftFromRequest, type PublishQuery } from "../mapping.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { NOT_IN_TIME, type Refusal, refusalOf } from "../refusals.ts";
import { type CoapOption, MessageType, OptionNumber } from "../wire/coap-message.ts";
import { Method, Response } from "../wire/code.ts";
import { contentTypeOf } from "../wire/content-format.ts";
import { findOption, readUint, uintValue } from "../wire/option-value.ts";
import { readQuery } from "../wire/uri-query.ts";
import { areMet, conditionsOf } from "./conditions.ts";
import { DELETE_PARAMETERS, readPublishQuery } from "./publish-query.ts";
import { etagsOf } from "./representation.ts";
import type { Transfers } from "./transfers.ts";
import { createTurns, type Leave } from "./turns.ts";

/** The name at the hub of what comes in over CoAP; its observers are told of it by the bridge itself. */
const CHANNELS_ATTACHMENT = "coap:observers";

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
  write(writing: Writing): Promise<Whole>;
  /** Resolves when no write waits for the hub. */
  idle(): Promise<void>;
}

interface Ready {
  readonly draft: Draft;
  readonly query: PublishQuery;
}

const NOT_MET = plainAnswer(Response.preconditionFailed);

/** Makes the way of writes into the hub. */
export function createWriter(options: WriterOptions): Writer {
  const { port, taken, transfers } = options;
  const turns = createTurns();
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
      const cleared = { channel, type, method: Method.put, payload: NOTHING, query } as const;
      return { query, draft: { ...draftFromRequest(cleared), retain: true } };
    }
    const contentFormat = numberOf(request.options, OptionNumber.contentFormat, 2);
    if (contentFormat !== undefined && contentTypeOf(contentFormat) === undefined) {
      return refuse("format-unsupported", { code: Response.unsupportedContentFormat, why: "" });
    }
    const maxAge = numberOf(request.options, OptionNumber.maxAge, 4);
    const asking = { channel, type, method: request.code, payload, contentFormat, maxAge, query };
    return { query, draft: draftFromRequest(asking) };
  };

  /** Resolves at the point that is to be acknowledged: a value is never acknowledged before a GET can see it. */
  const publish = async (writing: Writing, { draft, query }: Ready): Promise<Receipt> => {
    const isQuick = writing.ack === "accepted" && draft.retain !== true;
    const once = transfers.nameOf(writing.request, {
      qos: draft.qos ?? 0,
      id: query.id,
      channel: draft.channel,
    });
    const receipt = await port.publish(draft, writing.as, {
      until: isQuick ? "accepted" : "stored",
      attachment: CHANNELS_ATTACHMENT,
      ...(once === undefined ? {} : { once: once.name, state: once.state }),
    });
    if (once !== undefined && receipt.repeated !== true) transfers.begun(once, receipt.at !== "refused");
    return receipt;
  };
  const tell = (draft: Draft, receipt: Receipt, isDelete: boolean): void => {
    if (receipt.reason === "echo" || receipt.repeated === true) return;
    const message = messageOf(draft, receipt, port.clock.now());
    if (isDelete) taken.deleted(message.channel, message.seq);
    else taken.changed(message);
  };
  /** Decides about the conditions, publishes and tells observers; undefined: they are not met. */
  const locked = async (
    writing: Writing,
    one: Ready,
  ): Promise<{ readonly receipt: Receipt; readonly existed: boolean } | undefined> => {
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
    if (!isCreated) return plainAnswer(Response.changed);
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
  const inTurn = async (writing: Writing, one: Ready, leave: Leave): Promise<Whole> => {
    let done: Awaited<ReturnType<typeof locked>>;
    try {
      done = await locked(writing, one);
    } finally {
      leave();
    }
    if (done === undefined) {
      options.refused("precondition");
      return NOT_MET;
    }
    const { receipt, existed } = done;
    if (receipt.at === "refused") return say(receipt.reason ?? "refused", refusalOf(receipt.reason ?? ""));
    const isAwaited = writing.ack === "delivered" && writing.request.type === MessageType.confirmable;
    if (isAwaited && receipt.reason !== "echo" && !(await delivered(receipt, writing.ackTimeout))) {
      return say("timeout", NOT_IN_TIME);
    }
    return answer(writing, one, existed);
  };

  const write = async (writing: Writing): Promise<Whole> => {
    const one = ready(writing);
    if ("refused" in one) return one.refused;
    const alone = conditionsOf(writing.request.options) !== undefined;
    const leave = turns.enter(writing.channel, alone) ?? (await turns.wait(writing.channel, alone));
    return await inTurn(writing, one, leave);
  };

  return {
    async write(writing) {
      underWay += 1;
      try {
        return await write(writing);
      } finally {
        underWay -= 1;
        if (underWay === 0) {
          for (const rest of atRest) rest();
          atRest = [];
        }
      }
    },
    idle: () => (underWay === 0 ? Promise.resolve() : new Promise((resolve) => atRest.push(resolve))),
  };
}

const NOTHING = new Uint8Array(0);

/** A refusal as a response, with the Max-Age of a 5.03. */
export function said({ code, why, again }: Refusal): Whole {
  const options = again === undefined ? [] : [{ number: OptionNumber.maxAge, value: uintValue(again) }];
  return plainAnswer(code, options, why);
}

/** An elective option that is too long for what it is counts as not there (RFC 7252 section 5.4.3). */
function numberOf(options: readonly CoapOption[], number: number, longest: number): number | undefined {
  const option = findOption(options, number);
  return option === undefined ? undefined : readUint(option.value, longest);
}

/** The message as the hub has it: the last 16 digits of its id are its number (docs/hub.md). */
function messageOf(draft: Draft, { id }: Receipt, now: number): Message {
  const { qos = 0, retain = false, priority = 0, ttlMs, ...rest } = draft;
  return {
    ...rest,
    ...{ id, qos, retain, priority, publishedAt: now, origin: CHANNELS_ATTACHMENT },
    seq: Number.parseInt(id.slice(16), 16),
    ...(ttlMs === undefined ? {} : { expiresAt: now + ttlMs }),
  };
}
