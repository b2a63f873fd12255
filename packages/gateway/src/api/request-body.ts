import type { Context } from "hono";
import type { z } from "zod";
import { pathText } from "../config/faults.ts";
import { fail } from "./failure.ts";

/** A request's JSON body, or the answer to one that has none. */
export type ReadBody = { readonly json: unknown } | { readonly answer: Response };

/** Reads the body as JSON, at most `most` bytes of it (RFC 9110, section 15.5.14). */
export async function readJson(context: Context, most: number): Promise<ReadBody> {
  const text = await readText(context, most);
  if (text === undefined) {
    // What is still on its way is not read.
    context.header("connection", "close");
    const error = { code: "too-large", text: `the body has more than ${most} bytes` };
    return { answer: fail(context, 413, error) };
  }
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { answer: fail(context, 400, { code: "request-invalid", text: "the body is not JSON" }) };
  }
}

async function readText({ req }: Context, most: number): Promise<string | undefined> {
  const length = req.header("content-length");
  // The server holds the sender to the length it said.
  if (length !== undefined) return Number(length) > most ? undefined : await req.text();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of req.raw.body ?? []) {
    bytes += chunk.length;
    if (bytes > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The first fault of a body in one line, with its place; `otherwise` where the body as a whole is of another kind. */
export function faultText({ issues: [issue] }: z.ZodError, otherwise: string): string {
  if (issue?.code === "unrecognized_keys") return `${issue.keys.join(", ")}: not a known key`;
  if (issue === undefined || issue.path.length === 0) return otherwise;
  return `${pathText(issue.path)}: ${issue.message}`;
}
