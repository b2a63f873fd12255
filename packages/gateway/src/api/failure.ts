import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** The body of every answer that is a failure (docs/api.md). */
export interface ApiError {
  readonly code: string;
  readonly text: string;
}

/** Answers with a failure. */
export function fail(context: Context, status: ContentfulStatusCode, error: ApiError): Response {
  return context.json({ error }, status);
}
