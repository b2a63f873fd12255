import { createDownload, type DownloadStep } from "../blocks/download.ts";
import type { IncomingResponse } from "../messaging/messaging.ts";
import { type BlockOption, encodeBlock } from "../wire/block-option.ts";
import { type CoapMessage, type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { type Code, codeText, Method, Response } from "../wire/code.ts";
import { size2Of } from "./answer-options.ts";
import { createDeadline, OPERATION_MS } from "./deadline.ts";
import { newToken, type Reply, request, type Wire } from "./request.ts";
import type { Turns } from "./turns.ts";

/** What a reading led to. `code`: the server answered an error. */
export type ReadBody =
  | { readonly is: "whole"; readonly options: readonly CoapOption[]; readonly payload: Uint8Array }
  | { readonly is: "failed"; readonly reason: string; readonly code?: Code };

/** The largest representation that is taken from a peer, in bytes. */
export const MAX_BODY_BYTES = 1_048_576;
/** The most blocks of one representation: a peer that cuts it smaller keeps us busy for nothing. */
export const MAX_BLOCKS = 4_096;
/** So often a representation may change while it is fetched. */
const RESTARTS = 2;

/** What reading needs; `base` names the resource. */
export interface ReadBodyParts {
  readonly wire: Wire;
  readonly turns: Turns;
  readonly base: readonly CoapOption[];
}

/**
 * The representation that begins with this response: the rest is fetched by GETs without Observe (RFC 7959 section
 * 2.6), each with a token of its own. Where it has changed meanwhile, it is fetched anew from its first block.
 */
export async function readBody(
  parts: ReadBodyParts,
  first: IncomingResponse,
  signal: AbortSignal,
): Promise<ReadBody> {
  const download = createDownload({ most: MAX_BODY_BYTES, restarts: RESTARTS });
  let step = download.take(first);
  if (step.is === "whole") return whole(step);
  const to = first.from;
  const giveBack = await parts.turns.take(to.key, signal);
  if (giveBack === undefined) return { is: "failed", reason: "aborted" };
  const deadline = createDeadline(parts.wire.clock, signal, OPERATION_MS);
  try {
    for (let blocks = 1; step.is === "more"; blocks += 1) {
      if (blocks >= MAX_BLOCKS) return { is: "failed", reason: "too-large" };
      const get = {
        to,
        code: Method.get,
        token: newToken(parts.wire.random),
        options: asking(parts.base, step.ask),
      };
      const reply = await request(parts.wire, get, deadline.signal);
      if (reply.is !== "answered" || reply.response.code !== Response.content) return failed(reply);
      step = download.take(reply.response);
    }
    return ended(step);
  } finally {
    deadline.cancel();
    giveBack();
  }
}

function asking(base: readonly CoapOption[], ask: BlockOption): readonly CoapOption[] {
  return [...base, { number: OptionNumber.block2, value: encodeBlock(ask) }];
}

function ended(step: Exclude<DownloadStep, { is: "more" }>): ReadBody {
  switch (step.is) {
    case "whole":
      return whole(step);
    case "failed":
      return { is: "failed", reason: step.reason };
    case "ignored":
      return { is: "failed", reason: "block-out-of-step" };
  }
}

function whole({ body, first }: { readonly body: Uint8Array; readonly first: CoapMessage }): ReadBody {
  if (isCut(first.options, body)) return { is: "failed", reason: "cut-short" };
  return { is: "whole", options: first.options, payload: body };
}

/** Whether Size2 announced another length than what came. */
export function isCut(options: readonly CoapOption[], body: Uint8Array): boolean {
  const announced = size2Of(options);
  return announced !== undefined && announced !== body.length;
}

function failed(reply: Reply): ReadBody {
  if (reply.is === "aborted") return { is: "failed", reason: "too-slow" };
  if (reply.is !== "answered") return { is: "failed", reason: reply.is };
  const { code } = reply.response;
  return { is: "failed", reason: `block-answered-${codeText(code)}`, code };
}
