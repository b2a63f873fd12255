import type { Context } from "hono";
import type { z } from "zod";
import { pathText } from "../config/faults.ts";
import type { ApiError } from "./failure.ts";

/** What a body that is no JSON is answered with. */
export const NOT_JSON: ApiError = { code: "request-invalid", text: "the body is not JSON" };

/** The body as a JSON value; undefined where it is none, which no JSON text stands for. */
export async function readJson(context: Context): Promise<unknown> {
  try {
    return await context.req.json();
  } catch {
    return undefined;
  }
}

/** The first fault of a body in one line, with its place; `otherwise` where the body as a whole is of another kind. */
export function faultText({ issues: [issue] }: z.ZodError, otherwise: string): string {
  if (issue?.code === "unrecognized_keys") return `${issue.keys.join(", ")}: not a known key`;
  if (issue === undefined || issue.path.length === 0) return otherwise;
  return `${pathText(issue.path)}: ${issue.message}`;
}
