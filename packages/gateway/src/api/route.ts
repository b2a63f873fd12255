import type { Context } from "hono";
import type { z } from "zod";
import type { Scope } from "../access/index.ts";
import type { Caller } from "./caller.ts";
import { fail } from "./failure.ts";
import { faultText, readJson } from "./request-body.ts";
import { queryKinds, readQuery } from "./request-query.ts";

/** One way a route answers. */
export interface Answer {
  readonly description: string;
  /** Default `application/json`. */
  readonly contentType?: string;
  /** Of a JSON body; of a stream, of the data of its events. */
  readonly schema: z.ZodType;
}

/** A request as its handler gets it: everything validated. */
export interface Asked<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  readonly context: Context;
}

/** What the handlers and the OpenAPI document are made from, so that they cannot differ. */
export interface RouteDefinition<Params, Query, Body> {
  readonly method: "get" | "post" | "delete";
  /** As OpenAPI writes it: `/api/v1/receipts/{id}`. A `{channel}` takes all that follows, with its slashes. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  /** One of them is needed; none: whoever is let in. */
  readonly scopes: readonly Scope[];
  /** Answered also while the gateway starts and stops. */
  readonly always?: boolean;
  readonly params?: z.ZodType<Params>;
  /** Values arrive as text; those of integers, booleans and lists are read as such. */
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** What a body of quite another kind is answered with. */
  readonly bodyWanted?: string;
  /** Besides 400, 401, 403, 405, 413, 429, 500 and 503 as errors. */
  readonly answers: Readonly<Record<number, Answer>>;
  serve(asked: Asked<Params, Query, Body>): Response | Promise<Response>;
}

/** What a handler is run with. */
export interface RunOptions {
  readonly caller: Caller;
  /** Largest body in bytes. */
  readonly maxBody: number;
}

/** A route whose types are its own business. */
export interface Route extends Omit<RouteDefinition<unknown, unknown, unknown>, "serve"> {
  /** Validates, then serves. */
  run(context: Context, options: RunOptions): Promise<Response>;
}

/** Makes a route of its definition. */
export function route<Params, Query, Body>(definition: RouteDefinition<Params, Query, Body>): Route {
  const { serve, ...shown } = definition;
  const kinds = definition.query === undefined ? undefined : queryKinds(definition.query);
  return {
    ...shown,
    async run(context, { caller, maxBody }) {
      const params = parsed(context, context.req.param(), { schema: definition.params, wanted: "a path" });
      if ("answer" in params) return params.answer;
      const asked = kinds === undefined ? {} : readQuery(context.req.queries(), kinds);
      const query = parsed(context, asked, { schema: definition.query, wanted: "a query" });
      if ("answer" in query) return query.answer;
      const read = definition.body === undefined ? { json: undefined } : await readJson(context, maxBody);
      if ("answer" in read) return read.answer;
      const wanted = definition.bodyWanted ?? "an object";
      const body = parsed(context, read.json, { schema: definition.body, wanted });
      if ("answer" in body) return body.answer;
      return await serve({ params: params.value, query: query.value, body: body.value, caller, context });
    },
  };
}

interface Wanted<T> {
  readonly schema: z.ZodType<T> | undefined;
  readonly wanted: string;
}

type Parsed<T> = { readonly value: T } | { readonly answer: Response };

function parsed<T>(context: Context, value: unknown, { schema, wanted }: Wanted<T>): Parsed<T> {
  // Without a schema its type parameter is inferred as unknown: whoever declared none reads none.
  if (schema === undefined) return { value: undefined as T };
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const text = faultText(result.error, `expected ${wanted}`);
  return { answer: fail(context, 400, { code: codeOf(result.error), text }) };
}

/** A schema may say which error its breach is: `params: { code: "filter-invalid" }`. */
function codeOf({ issues: [issue] }: z.ZodError): string {
  const code: unknown = issue?.code === "custom" ? issue.params?.["code"] : undefined;
  return typeof code === "string" ? code : "request-invalid";
}
