import { z } from "zod";
import type { Answer, Route } from "./route.ts";
import { errorSchema } from "./schemas.ts";

/** JSON, as far as this module makes it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

const INFO = {
  title: "NoMQ Gateway",
  description: "One network of NoMQ, MQTT and CoAP devices. docs/api.md tells what each route is for.",
  license: { name: "MIT", identifier: "MIT" },
};

/** What every route may also answer. */
const ERRORS: Readonly<Record<number, string>> = {
  400: "The request is not valid",
  401: "No token, or none that is known",
  403: "The token lacks the scope, a rule forbids it, or the page's origin is not allowed",
  404: "There is no such thing",
  413: "Too large",
  429: "Too many requests, streams or wrong tokens; Retry-After says when",
  500: "The gateway failed",
  503: "Starting, stopping or busy",
};

/** The OpenAPI 3.1 document of the routes: made from the schemas that requests are checked with. */
export function openApi(routes: readonly Route[], version: string): JsonObject {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  for (const each of routes) {
    paths[each.path] = { ...paths[each.path], [each.method]: operation(each, components) };
  }
  return {
    openapi: "3.1.0",
    info: { ...INFO, version: version.replace(/^(\d+)\..*$/, "$1") },
    security: [{}, { token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "One of access.tokens" } },
      responses: Object.fromEntries(
        Object.entries(ERRORS).map(([status, description]) => [
          `Error${status}`,
          { description, content: json(components.of(errorSchema)) },
        ]),
      ),
      schemas: components.schemas,
    },
  };
}

function operation(asked: Route, components: Components): Json {
  const { id, summary, scopes, answers, body } = asked;
  const needs = scopes.length === 0 ? "" : `Needs the scope ${scopes.join(" or ")}.`;
  const errors = Object.entries(ERRORS)
    .filter(([status]) => !(Number(status) in answers))
    .map(([status]) => [status, { $ref: `#/components/responses/Error${status}` }]);
  const parameters = [
    ...parametersOf(asked, "path", components),
    ...parametersOf(asked, "query", components),
  ];
  return {
    operationId: id,
    summary,
    ...(needs === "" ? {} : { description: needs }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: json(components.of(body, "input")) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [
          status,
          answerOf(answer, Number(status), components),
        ]),
      ),
      ...Object.fromEntries(errors),
    },
  };
}

/** A status of ours may also be an error: 403 by a rule is a receipt, by a scope an error. */
function answerOf(
  { description, schema, contentType }: Answer,
  status: number,
  components: Components,
): Json {
  const own = components.of(schema);
  if (contentType !== undefined) return { description, content: { [contentType]: { schema: own } } };
  const both: Json = status in ERRORS ? { anyOf: [own, components.of(errorSchema)] } : own;
  return { description, content: json(both) };
}

const json = (schema: Json): JsonObject => ({ "application/json": { schema } });

function parametersOf(asked: Route, place: "path" | "query", components: Components): Json[] {
  const schema = place === "path" ? asked.params : asked.query;
  if (schema === undefined) return [];
  const { properties, required = [] } = components.of(schema, "input") as {
    // What toJSONSchema makes of an object.
    readonly properties: JsonObject;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, value]) => ({
    name,
    in: place,
    ...(place === "path" || required.includes(name) ? { required: true } : {}),
    schema: value,
  }));
}

/** Turns schemas into JSON; those with a name are kept apart and referred to. */
class Components {
  readonly schemas: Record<string, Json> = {};

  of(schema: z.ZodType, io: "input" | "output" = "output"): Json {
    // A schema with a name comes back as a reference to itself.
    return this.#make(schema, io);
  }

  #make(schema: z.ZodType, io: "input" | "output"): Json {
    const text = JSON.stringify(z.toJSONSchema(schema, { io, target: "draft-2020-12" }));
    // Its own output, which is JSON.
    const {
      $defs = {},
      $schema,
      id,
      ...rest
    } = JSON.parse(text.replaceAll('"#/$defs/', '"#/components/schemas/')) as Record<string, Json>;
    for (const [name, each] of Object.entries($defs as JsonObject)) {
      const { id: _, ...own } = each as Record<string, Json>;
      this.schemas[name] = io === "output" ? opened(own) : own;
    }
    return io === "output" ? opened(rest) : rest;
  }
}

/** Answers may get further members in a later version: readers must not refuse them. */
function opened(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(opened);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(key === "additionalProperties" && value === false))
      .map(([key, value]) => [key, opened(value)]),
  );
}
