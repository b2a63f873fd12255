import { z } from "zod";
import { type AccessAnswer, questionFault } from "../../access/answer.ts";
import type { AccessReloaded } from "../../access/reload.ts";
import { fail } from "../failure.ts";
import { type Route, route } from "../route.ts";
import { named } from "../schemas.ts";
import type { ApiSources } from "../sources.ts";

const names = z.array(z.string());
const reloadedSchema: z.ZodType<AccessReloaded> = z.union([
  z.strictObject({
    is: z.literal("changed"),
    change: z.strictObject({
      usersAdded: names,
      usersRemoved: names,
      usersChanged: names.describe("Their password is another"),
      tokensAdded: names,
      tokensRemoved: names,
      tokensChanged: names.describe("Their secret or their scopes are others"),
      rulesAdded: names.describe("In words: user:ann publish cmd/# subscribe #"),
      rulesRemoved: names,
    }),
  }),
  z.strictObject({ is: z.literal("unchanged") }),
  z.strictObject({ is: z.literal("refused"), code: z.string(), text: z.string() }),
]);
named.add(reloadedSchema, { id: "AccessReloaded" });

const answerSchema: z.ZodType<AccessAnswer> = z.strictObject({
  who: z.string(),
  action: z.enum(["publish", "subscribe"]),
  channel: z.string(),
  allowed: z.boolean().describe("Of a filter: whether some channel under it is"),
  extent: z.enum(["all", "some", "none"]),
  rule: z.int().exactOptional().describe("The place of the rule in access.rules, from 0"),
  filter: z.string().exactOptional().describe("The filter of the rule"),
  admit: z.string().exactOptional().describe("The line under access: rules: that would allow it"),
  text: z.string().describe("All of it in words"),
});
named.add(answerSchema, { id: "AccessAnswer" });

/** Reading the `access` section again, and asking what it says. */
export const accessRoutes = (sources: ApiSources): readonly Route[] => [
  reloadRoute(sources),
  explainRoute(sources),
];

const reloadRoute = ({ access }: ApiSources): Route =>
  route({
    method: "post",
    path: "/api/v1/access/reload",
    id: "reloadAccess",
    summary: "Read the access section of the configuration file again, as SIGHUP does",
    scopes: ["admin"],
    answers: {
      200: { description: "It is in force, changed or not", schema: reloadedSchema },
      409: { description: "It was refused; the old one stays in force", schema: reloadedSchema },
    },
    serve({ caller, context }) {
      if (access === undefined) return fail(context, 404, NO_ACCESS);
      const result = access.reload(caller.principal);
      return context.json(result, result.is === "refused" ? 409 : 200);
    },
  });

const explainRoute = ({ access }: ApiSources): Route =>
  route({
    method: "get",
    path: "/api/v1/access/explain",
    id: "explainAccess",
    summary: "Say which rule lets somebody publish or subscribe, or which would",
    scopes: ["admin"],
    query: z.object({
      who: z.string().describe("user:NAME, nomq:KEYID, token:NAME, addr:IP or anonymous"),
      action: z.enum(["publish", "subscribe"]),
      channel: z.string().describe("A channel; with subscribe also a filter"),
    }),
    answers: { 200: { description: "What the rules in force say", schema: answerSchema } },
    serve({ query, context }) {
      if (access === undefined) return fail(context, 404, NO_ACCESS);
      const fault = questionFault(query);
      if (fault !== undefined) return fail(context, 400, { code: "request-invalid", text: fault });
      return context.json(access.explain(query));
    },
  });

const NO_ACCESS = { code: "not-found", text: "this program has no access rules" };
