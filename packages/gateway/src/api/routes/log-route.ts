import { z } from "zod";
import { fail } from "../failure.ts";
import { type Route, route } from "../route.ts";
import { named } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

const entrySchema: z.ZodType = z.strictObject({
  at: z.iso.datetime(),
  who: z.string().describe("A principal, or `gateway` or `store`"),
  what: z.string().describe("`noun.verb`; docs/session-log.md lists them"),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional(),
});
named.add(entrySchema, { id: "SessionEntry" });

const MOST = 1_000;
const LAST = { error: `expected a whole number from 1 to ${MOST}` };

/** `GET /api/v1/log`: the end of the session log. */
export const logRoute = (sources: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/log",
    id: "log",
    summary: "Who did what and when, the oldest first",
    scopes: ["admin"],
    query: z.object({ last: z.int(LAST).min(1, LAST).max(MOST, LAST).default(100) }),
    answers: { 200: { description: "The last entries of this run", schema: z.array(entrySchema) } },
    serve({ query, context }) {
      const entries = sources.sessionLog?.(query.last);
      if (entries === undefined)
        return fail(context, 404, { code: "not-found", text: "no log is kept here" });
      return context.json(entries);
    },
  });
