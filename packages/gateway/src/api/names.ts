import type { NamingFault, NomqNames } from "@nomq/core";
import type { Context, Hono, MiddlewareHandler } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { fail } from "./failure.ts";
import type { Health } from "./health.ts";
import { faultText, NOT_JSON, readJson } from "./request-body.ts";

/** What the handlers ask. */
export interface NamesSources {
  names?(): NomqNames | undefined;
  health(): Health;
}

/** The body of `POST /api/v1/nomq/names`. */
const naming = z.strictObject({
  hash: z.string({ error: "expected the hash as text" }),
  channel: z.string({ error: "expected a channel name" }),
});

const STATUS: Readonly<Record<NamingFault, ContentfulStatusCode>> = {
  "hash-invalid": 400,
  "channel-invalid": 400,
  "hash-mismatch": 409,
  "names-full": 409,
  "store-failed": 503,
  "store-busy": 503,
  closed: 503,
};

/** Adds the handlers of `/api/v1/nomq`: what is unknown, and the names given at run time (docs/api.md). */
export function serveNames(app: Hono, limit: MiddlewareHandler, sources: NamesSources): void {
  app.get("/api/v1/nomq/unknown", (context) => {
    const { nomq } = sources.health();
    return context.json({ channels: nomq?.unknownChannels ?? [], clocks: nomq?.unknownClocks ?? [] });
  });
  app.get("/api/v1/nomq/names", (context) => context.json(sources.names?.()?.list() ?? []));
  app.post("/api/v1/nomq/names", limit, async (context) => {
    const names = sources.names?.();
    return names === undefined ? noNomq(context) : await give(context, names);
  });
  app.delete("/api/v1/nomq/names/:channel{.+}", async (context) => {
    const channel = context.req.param("channel");
    const forgotten = await sources.names?.()?.forget(channel);
    return forgotten === undefined
      ? fail(context, 404, { code: "not-found", text: `the name ${JSON.stringify(channel)} is not kept` })
      : context.json(forgotten);
  });
}

async function give(context: Context, names: NomqNames): Promise<Response> {
  const body = await readJson(context);
  if (body === undefined) return fail(context, 400, NOT_JSON);
  const request = naming.safeParse(body);
  if (!request.success)
    return fail(context, 400, {
      code: "request-invalid",
      text: faultText(request.error, "expected { hash, channel }"),
    });
  const { hash, channel } = request.data;
  const done = await names.name(hash, channel);
  if (done.is === "refused")
    return fail(context, STATUS[done.reason], { code: done.reason, text: done.text });
  return context.json({ hash: done.hash, channel: done.channel });
}

const noNomq = (context: Context): Response =>
  fail(context, 404, { code: "not-found", text: "the gateway has no NoMQ listener" });
