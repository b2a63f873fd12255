import { z } from "zod";

/** How each value of a query is read from its text. */
export type QueryKinds = ReadonlyMap<string, "text" | "integer" | "boolean" | "list">;

/** The kinds that a query's schema names. */
export function queryKinds(schema: z.ZodType): QueryKinds {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" });
  return new Map(Object.entries(properties).map(([name, property]) => [name, kindOf(property)] as const));
}

function kindOf(property: unknown): "text" | "integer" | "boolean" | "list" {
  const type: unknown = typeof property === "object" && property !== null && Reflect.get(property, "type");
  if (type === "array") return "list";
  return type === "integer" || type === "boolean" ? type : "text";
}

/** The query as its schema expects it; what cannot be read stays text, which the schema refuses. */
export function readQuery(
  queries: Readonly<Record<string, readonly string[]>>,
  kinds: QueryKinds,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, readValues(values, kinds.get(name) ?? "text")]),
  );
}

function readValues(values: readonly string[], kind: "text" | "integer" | "boolean" | "list"): unknown {
  if (kind === "list") return values;
  const [value = ""] = values;
  // Given twice, it is not clear which is meant.
  if (values.length > 1) return values;
  if (kind === "integer" && /^\d{1,15}$/.test(value)) return Number(value);
  // `?follow` says yes.
  if (kind === "boolean" && value === "") return true;
  return kind === "boolean" && (value === "true" || value === "false") ? value === "true" : value;
}
