import { z } from "zod";
import { fail } from "../failure.ts";
import type { Health } from "../health.ts";
import { type Route, route } from "../route.ts";
import { bridgeStatusSchema, named, timeSchema } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

/** Bridges add counts of their own. */
const healthSchema: z.ZodType = z.looseObject({
  live: z.boolean().describe("The process answers"),
  ready: z.boolean().describe("Every bridge does its work, if only in part"),
  bridges: z.record(z.string(), bridgeStatusSchema),
  still: z
    .array(
      z.strictObject({
        attachment: z.string(),
        client: z.string().exactOptional().describe("The MQTT client behind it"),
        reason: z.enum(["no-progress", "unacknowledged", "not-reading"]),
        since: timeSchema,
        pending: z.int().min(0),
      }),
    )
    .describe("Peers that are connected, have messages waiting, and take none; at most 100"),
  stillCount: z.int().min(0).describe("How many there are"),
  store: z.strictObject({
    state: z.enum(["memory", "ready", "full", "failing"]),
    damaged: z.int().min(0).describe("Values found damaged and put aside since the start"),
    waiting: z.int().min(0).describe("Publishes and changes that wait for a commit"),
    stillSince: timeSchema.exactOptional().describe("Since when the same commit is open"),
  }),
  unclaimed: z.array(z.string()).describe("Durable attachments of an earlier run that nobody has claimed"),
});
named.add(healthSchema, { id: "Health" });

/** `/healthz` and `/metrics`: for whoever watches the gateway. */
export const healthRoutes = (sources: ApiSources): readonly Route[] => [
  healthRoute(sources),
  metricsRoute(sources),
];

const healthRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/healthz",
    id: "health",
    summary: "Whether the gateway lives, is ready, and how its parts do",
    scopes: ["subscribe", "admin"],
    always: true,
    answers: {
      200: { description: "Ready", schema: healthSchema },
      503: { description: "Not ready", schema: healthSchema },
    },
    serve({ context }) {
      const health: Health = sources.health();
      return context.json(health, health.ready ? 200 : 503);
    },
  });

const metricsRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/metrics",
    id: "metrics",
    summary: "Counters and gauges for Prometheus",
    scopes: ["subscribe", "admin"],
    always: true,
    answers: {
      200: { description: "docs/metrics.md lists them", contentType: METRICS_TYPE, schema: z.string() },
    },
    serve({ context }) {
      const text = sources.metrics?.();
      if (text === undefined) return fail(context, 404, { code: "not-found", text: "no metrics here" });
      return context.body(text, 200, { "content-type": METRICS_TYPE });
    },
  });

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
