import type { Principal } from "@nomq/core";
import type { IncomingMessage, OutgoingMessage } from "coap";

/** Who asks; goes with every request. */
export interface Asker {
  readonly principal: Principal;
}

/**
 * Answers a request in node-coap's own style: `response.code`, `response.setOption`, `response.end`. All of the body is in
 * `request.payload`, also where it came in blocks, and a response may be as large as it wants to be. What it throws or
 * rejects with is logged and answered 5.00 without detail; no answer within 30 s is 5.03.
 */
export type HandleRequest = (
  request: IncomingMessage,
  response: OutgoingMessage,
  asker: Asker,
) => void | Promise<void>;

/** A resource that is no channel, added by a program. */
export interface CoapResource {
  /** Whole path, `admin/uptime`; a channel of that name cannot be reached by CoAP. */
  readonly path: string;
  readonly handle: HandleRequest;
  /** Attributes of its link in `/.well-known/core`: `{ rt: "example.uptime", ct: "0" }`; `true` for one without value. */
  readonly attributes?: Readonly<Record<string, string | true>>;
  /** Whether `/.well-known/core` lists it. Default true. */
  readonly listed?: boolean;
}
