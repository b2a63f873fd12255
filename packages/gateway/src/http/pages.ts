import type { IncomingMessage } from "node:http";
import { type PageFault, type PageRules, pageFault } from "@nomq/core";
import type { ApiError } from "../api/failure.ts";
import type { ListenerConfig } from "../config/config.ts";

const TEXTS: Readonly<Record<PageFault, string>> = {
  "host-not-ours": "the Host header names no host of this listener; add its origin to origins",
  "origin-foreign": "a page of that origin may not ask; add it to origins",
};

/** The rules of a listener. */
export function createPageRules({ url, origins = [] }: ListenerConfig): PageRules {
  const [, scheme, host = ""] = /^(https?):\/\/(.+):\d+$/.exec(url) ?? [];
  return {
    scheme: scheme === "https" ? "https" : "http",
    host: host.replace(/^\[|\]$/g, ""),
    origins,
  };
}

/** Why a request is refused for the web page it comes from; undefined: it is not. */
export function pageError({ headers }: IncomingMessage, rules: PageRules): ApiError | undefined {
  const fault = pageFault(headers, rules);
  return fault && { code: fault, text: TEXTS[fault] };
}

/** Whether the origin is another's and allowed, so that the answer must say so (Fetch standard, CORS protocol). */
export const isAllowedOrigin = (origin: string | undefined, { origins }: PageRules): origin is string =>
  origin !== undefined && origins.includes(origin);
