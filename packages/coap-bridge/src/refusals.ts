import { type Code, Response } from "./wire/code.ts";

/** How a refusal is said: what went wrong in a few words, never who or what stands behind it. */
export interface Refusal {
  readonly code: Code;
  readonly why: string;
  /** Seconds after which it is worth another try: the Max-Age of a 5.03 (RFC 7252 section 5.9.3.4). */
  readonly again?: number;
}

const BUSY_S = 2;
const FULL_S = 30;

/** The hub's reasons, up to their colon, in CoAP's words. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  "channel-invalid": { code: Response.badRequest, why: "not a channel name" },
  access: { code: Response.forbidden, why: "not allowed" },
  "too-large": { code: Response.requestEntityTooLarge, why: "too large" },
  "priority-invalid": { code: Response.badRequest, why: "priority is 0 to 15" },
  "qos-invalid": { code: Response.badRequest, why: "qos is 0, 1 or 2" },
  "ttl-invalid": { code: Response.badRequest, why: "ttl is in seconds" },
  "properties-invalid": { code: Response.badRequest, why: "not well-formed" },
  "outbox-full": { code: Response.serviceUnavailable, why: "a receiver is full", again: BUSY_S },
  "store-busy": { code: Response.serviceUnavailable, why: "busy", again: BUSY_S },
  "store-full": { code: Response.serviceUnavailable, why: "out of space", again: FULL_S },
  "store-failed": { code: Response.serviceUnavailable, why: "could not be stored", again: FULL_S },
  "long-names-full": { code: Response.serviceUnavailable, why: "too many long names", again: FULL_S },
  closed: { code: Response.serviceUnavailable, why: "stopping", again: FULL_S },
};

const UNKNOWN: Refusal = { code: Response.internalServerError, why: "refused" };

/** What is said where not every receiver has the message in time (docs/hub.md). */
export const NOT_IN_TIME: Refusal = { code: Response.gatewayTimeout, why: "not delivered in time" };

/** What is said for a reason of the hub, `outbox-full: NAME` and the like. */
export function refusalOf(reason: string): Refusal {
  const [word = ""] = reason.split(":", 1);
  return Object.hasOwn(REFUSALS, word) ? (REFUSALS[word] ?? UNKNOWN) : UNKNOWN;
}
