import type { IncomingMessage, ServerResponse } from "node:http";
import type { PageRules } from "@nomq/core";
import type { ApiError } from "../api/failure.ts";
import { addressOf } from "./caller.ts";
import type { HttpLimits } from "./limits.ts";
import { isAllowedOrigin, pageError } from "./pages.ts";

/** What stands before the handlers. */
export interface GuardOptions {
  readonly rules: PageRules;
  readonly limits: HttpLimits;
  refused(error: ApiError, address: string): void;
}

/** Whether the handlers get the request; if not, it has been answered. */
export type Guard = (incoming: IncomingMessage, outgoing: ServerResponse, underWay: number) => boolean;

/** Nothing of an answer is kept, guessed at, framed, or told to others. */
const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ["cache-control", "no-store"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
];

/** What a page of another origin may send, and for how many seconds a browser remembers it. */
const PREFLIGHT: readonly (readonly [string, string])[] = [
  ["access-control-allow-methods", "GET, HEAD, POST, DELETE"],
  ["access-control-allow-headers", "authorization, content-type"],
  ["access-control-max-age", "600"],
];

/** Makes the guard of one listener: its headers, whose pages may ask, and how many requests at once. */
export function createGuard({ rules, limits, refused }: GuardOptions): Guard {
  return (incoming, outgoing, underWay) => {
    const isAllowed = setHeaders(incoming, outgoing, rules);
    // RFC 9112, section 3.2: whoever stands in front of us may have looked at the other one.
    if ((incoming.headersDistinct["host"] ?? []).length > 1) {
      return answer(outgoing, 400, { code: "request-invalid", text: "the request has more than one Host" });
    }
    const fault = pageError(incoming, rules);
    if (fault !== undefined) {
      refused(fault, addressOf(incoming));
      return answer(outgoing, 403, fault);
    }
    if (underWay > limits.requests) {
      outgoing.setHeader("retry-after", "1");
      return answer(outgoing, 503, { code: "busy", text: "too many requests are under way" });
    }
    if (isAllowed && isPreflight(incoming)) {
      for (const [name, value] of PREFLIGHT) outgoing.setHeader(name, value);
      return answer(outgoing, 204);
    }
    return true;
  };
}

/** Says whether a page of another origin may read the answer. */
function setHeaders({ headers }: IncomingMessage, outgoing: ServerResponse, rules: PageRules): boolean {
  for (const [name, value] of SECURITY_HEADERS) outgoing.setHeader(name, value);
  outgoing.setHeader("vary", "origin");
  const { origin } = headers;
  if (!isAllowedOrigin(origin, rules)) return false;
  outgoing.setHeader("access-control-allow-origin", origin);
  outgoing.setHeader("access-control-expose-headers", "retry-after, www-authenticate");
  return true;
}

const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === "OPTIONS" && headers["access-control-request-method"] !== undefined;

function answer(outgoing: ServerResponse, status: number, error?: ApiError): false {
  // A body that nobody will read: the connection ends with the answer.
  if (error !== undefined) outgoing.setHeader("connection", "close");
  outgoing.statusCode = status;
  if (error !== undefined) outgoing.setHeader("content-type", "application/json");
  outgoing.end(error === undefined ? undefined : JSON.stringify({ error }));
  return false;
}
