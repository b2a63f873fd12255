import { NomqError, type Port } from "@nomq/core";
import { type Context, Hono } from "hono";
import type { Caller, TurnedAway } from "./caller.ts";
import { fail, failFor } from "./failure.ts";
import type { Route } from "./route.ts";
import { routesOf } from "./routes/routes.ts";
import type { ApiSources } from "./sources.ts";

/** What the API stands on. The control socket serves it, and HTTP listeners do. */
export interface ApiOptions extends ApiSources {
  /** In whose name a request acts, and what it may ask for. Called once for each request. */
  caller(context: Context): Caller | TurnedAway;
  /** False while the gateway starts or stops: `/api` is then answered 503. Default: always true. */
  isOpen?(): boolean;
  /** Largest request body in bytes. Default 8 MiB. */
  readonly maxBody?: number;
}

const MAX_BODY = 8 * 1_048_576;

/** Makes the handlers of `/healthz`, `/metrics` and `/api/v1` (docs/api.md). */
export function createApi(options: ApiOptions): Hono {
  const app = new Hono();
  app.onError((error, context) => failed(context, error, options.port));
  app.notFound((context) => fail(context, 404, { code: "not-found", text: "no such resource" }));
  for (const [path, routes] of byPath(routesOf(options))) {
    for (const each of routes) app.on(each.method, path, (context) => serve(context, each, options));
    app.all(path, (context) => otherMethod(context, routes));
  }
  return app;
}

/** The routes by Hono's form of their path. */
function byPath(routes: readonly Route[]): ReadonlyMap<string, readonly Route[]> {
  const paths = new Map<string, Route[]>();
  for (const each of routes) {
    // A channel's name has slashes, which need not be escaped.
    const path = each.path.replace("{channel}", ":channel{.+}").replace(/\{(\w+)\}/, ":$1");
    paths.set(path, [...(paths.get(path) ?? []), each]);
  }
  return paths;
}

async function serve(context: Context, asked: Route, options: ApiOptions): Promise<Response> {
  const caller = options.caller(context);
  if ("turned" in caller) return turnAway(context, caller);
  // Before every bridge has claimed its interest, a message would be acknowledged and routed nowhere.
  if (asked.always !== true && options.isOpen?.() === false)
    return failFor(context, 503, { code: "closed", text: "the gateway is starting or stopping" });
  const { scopes } = asked;
  if (scopes.length > 0 && !scopes.some((scope) => caller.scopes.includes(scope))) {
    // RFC 6750, section 3.1.
    context.header("www-authenticate", `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"`);
    const text = `needs the scope ${scopes.join(" or ")}`;
    return fail(context, 403, { code: "scope-missing", text });
  }
  return await asked.run(context, { caller, maxBody: options.maxBody ?? MAX_BODY });
}

function turnAway(context: Context, { turned, error, afterMs }: TurnedAway): Response {
  if (turned === 429)
    return failFor(context, 429, { ...error, ...(afterMs === undefined ? {} : { afterMs }) });
  if (turned === 401) {
    const detail = error.code === "token-missing" ? "" : ` error="invalid_token"`;
    context.header("www-authenticate", `Bearer${detail}`);
  }
  return fail(context, turned, error);
}

/** 405 for a method that a resource does not have (RFC 9110, section 15.5.6), and the answer to OPTIONS. */
function otherMethod(context: Context, routes: readonly Route[]): Response {
  const methods = routes.map(({ method }) => method.toUpperCase());
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  if (context.req.method === "OPTIONS") return context.body(null, 204, { allow });
  context.header("allow", allow);
  return fail(context, 405, { code: "method-not-allowed", text: `this resource takes ${allow}` });
}

function failed(context: Context, error: unknown, port: Port): Response {
  if (error instanceof NomqError) {
    const { code, message: text } = error;
    return code === "filter-invalid"
      ? fail(context, 400, { code, text })
      : failFor(context, 503, { code, text });
  }
  port.log.error("a request failed", { path: context.req.path, error: String(error) });
  return fail(context, 500, { code: "internal", text: "the gateway failed; its log says how" });
}
