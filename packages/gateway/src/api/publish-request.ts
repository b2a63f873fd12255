import type { AckPoint, Draft } from "@nomq/core";
import { z } from "zod";
import { parseDuration } from "../config/units.ts";

/** The body of `POST /api/v1/publish`. */
export interface PublishRequest {
  readonly channel: string;
  /** The payload as text; or `payloadBase64`; neither is an empty payload. */
  readonly payload?: string;
  readonly payloadBase64?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  /** Seconds, or a duration such as `60s`; 0 = now or never. */
  readonly ttl?: number | string;
  readonly priority?: number;
  readonly contentType?: string;
  /** When the answer comes. Default `stored`. */
  readonly until?: AckPoint;
}

const TTL = { error: "expected seconds, or a duration such as 60s" };
const ttl = z.union(
  [
    z.number(TTL).min(0, TTL).max(4_294_967_295, TTL),
    z.string(TTL).refine((value) => parseDuration(value) !== undefined, TTL),
  ],
  TTL,
);

/** Its schema. */
export const publishRequest: z.ZodType<PublishRequest> = z.strictObject({
  channel: z.string({ error: "expected a channel name" }),
  payload: z.string({ error: "expected text" }).exactOptional(),
  payloadBase64: z.base64({ error: "expected base64" }).exactOptional(),
  qos: z.literal([0, 1, 2], { error: "expected 0, 1 or 2" }).exactOptional(),
  retain: z.boolean({ error: "expected true or false" }).exactOptional(),
  ttl: ttl.exactOptional(),
  priority: z
    .int({ error: "expected 0 to 15" })
    .min(0)
    .max(15, { error: "expected 0 to 15" })
    .exactOptional(),
  contentType: z.string({ error: "expected text" }).exactOptional(),
  until: z
    .enum(["accepted", "stored", "delivered"], { error: "expected accepted, stored or delivered" })
    .exactOptional(),
});

/** A request as the hub takes it, or what is wrong with it. */
export type ReadRequest = { readonly draft: Draft; readonly until: AckPoint } | { readonly fault: string };

/** What the schema does not say. The channel's own rules are the hub's: their breach is a receipt. */
export function readPublishRequest(request: PublishRequest, ack: AckPoint): ReadRequest {
  const { payload, payloadBase64, ttl: life, until = ack, ...rest } = request;
  if (payload !== undefined && payloadBase64 !== undefined) {
    return { fault: "payloadBase64: give either payload or payloadBase64" };
  }
  const bytes =
    payloadBase64 === undefined ? Buffer.from(payload ?? "") : Buffer.from(payloadBase64, "base64");
  const ttlMs =
    typeof life === "string" ? parseDuration(life) : life === undefined ? undefined : life * 1_000;
  return { until, draft: { ...rest, payload: bytes, ...(ttlMs === undefined ? {} : { ttlMs }) } };
}
