import type { NamingFault } from "@nomq/core";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { fail } from "../failure.ts";
import { type Route, route } from "../route.ts";
import { errorSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

/** The body of `POST /api/v1/nomq/names`. */
const naming = z.strictObject({
  hash: z.string({ error: "expected the hash as text" }).describe("The hash, or its first 8 digits or more"),
  channel: z.string({ error: "expected a channel name" }),
});

const named = z.strictObject({ hash: z.string(), channel: z.string() });

const STATUS: Readonly<Record<NamingFault, ContentfulStatusCode>> = {
  "hash-invalid": 400,
  "channel-invalid": 400,
  "hash-mismatch": 409,
  "names-full": 409,
  "store-failed": 503,
  "store-busy": 503,
  closed: 503,
};

/** The routes of `/api/v1/nomq`: what is unknown, and the names given at run time (docs/api.md). */
export const nameRoutes = (sources: ApiSources): readonly Route[] => [
  unknownRoute(sources),
  listRoute(sources),
  giveRoute(sources),
  forgetRoute(sources),
];

const unknownRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/nomq/unknown",
    id: "nomqUnknown",
    summary: "NoMQ channels without a name, and devices with a wrong clock",
    scopes: ["admin"],
    answers: {
      200: {
        description: "At most 256 of each, from authentic packets only",
        schema: z.strictObject({
          channels: z.array(z.looseObject({ hash: z.string(), source: z.string() })),
          clocks: z.array(z.looseObject({ source: z.string(), key: z.string() })),
        }),
      },
    },
    serve({ context }) {
      const { nomq } = sources.health();
      return context.json({ channels: nomq?.unknownChannels ?? [], clocks: nomq?.unknownClocks ?? [] });
    },
  });

const listRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/nomq/names",
    id: "nomqNames",
    summary: "Names given at run time",
    scopes: ["admin"],
    answers: { 200: { description: "At most 1,000", schema: z.array(named) } },
    serve: ({ context }) => context.json(sources.names?.()?.list() ?? []),
  });

const giveRoute = (sources: ApiSources): Route =>
  route({
    method: "post",
    path: "/api/v1/nomq/names",
    id: "nomqName",
    summary: "Name a channel that arrives as a hash",
    scopes: ["admin"],
    body: naming,
    bodyWanted: "{ hash, channel }",
    answers: {
      200: { description: "In force and stored", schema: named },
      409: { description: "It is not that hash's name, or there are too many names", schema: errorSchema },
    },
    async serve({ body, context }) {
      const names = sources.names?.();
      if (names === undefined) return noNomq(context);
      const done = await names.name(body.hash, body.channel);
      if (done.is === "refused")
        return fail(context, STATUS[done.reason], { code: done.reason, text: done.text });
      return context.json({ hash: done.hash, channel: done.channel });
    },
  });

const forgetRoute = (sources: ApiSources): Route =>
  route({
    method: "delete",
    path: "/api/v1/nomq/names/{channel}",
    id: "nomqForgetName",
    summary: "Keep a name given at run time no longer",
    scopes: ["admin"],
    params: z.object({ channel: z.string() }),
    answers: { 200: { description: "It stays known until the next start", schema: named } },
    async serve({ params: { channel }, context }) {
      const forgotten = await sources.names?.()?.forget(channel);
      return forgotten === undefined
        ? fail(context, 404, { code: "not-found", text: `the name ${JSON.stringify(channel)} is not kept` })
        : context.json(forgotten);
    },
  });

const noNomq = (context: Context): Response =>
  fail(context, 404, { code: "not-found", text: "the gateway has no NoMQ listener" });
