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

/** Answers with a failure that ends by itself. */
export function failFor(
  context: Context,
  status: ContentfulStatusCode,
  error: ApiError & { readonly afterMs?: number },
): Response {
  const { code, text, afterMs = 1_000 } = error;
  context.header("retry-after", String(Math.max(1, Math.ceil(afterMs / 1_000))));
  return fail(context, status, { code, text });
}
