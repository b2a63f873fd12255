import { z } from "zod";
import { fileSchema } from "./schema.ts";

/** A JSON Schema as far as this package reads it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** The JSON Schema of `gateway.yaml`, for editors; published with the package as `gateway.schema.json`. */
export function configJsonSchema(): JsonSchema {
  made ??= makeJsonSchema();
  return made;
}

let made: JsonSchema | undefined;

function makeJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(fileSchema, { io: "input", target: "draft-7" });
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "NoMQ Gateway configuration",
    description: "gateway.yaml of NoMQ Gateway; docs/configuration.md explains every key.",
    ...schema,
  };
}

/** The keys that an object at this place may have, over all forms that its schema allows. */
export function keysAt(schema: JsonSchema, path: readonly PropertyKey[]): string[] {
  return [...new Set(placesAt(schema, path).flatMap((place) => Object.keys(objectOf(place["properties"]))))];
}

/** The words that a value at this place may be. */
export function wordsAt(schema: JsonSchema, path: readonly PropertyKey[]): string[] {
  const words = placesAt(schema, path).flatMap((place) =>
    Array.isArray(place["enum"]) ? place["enum"] : [],
  );
  return words.filter((word) => typeof word === "string");
}

function placesAt(schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema[] {
  let places = forms(schema);
  for (const step of path) {
    places = places.flatMap((place) => {
      const next = typeof step === "number" ? place["items"] : objectOf(place["properties"])[String(step)];
      return isSchema(next) ? forms(next) : [];
    });
  }
  return places;
}

function forms(schema: JsonSchema): JsonSchema[] {
  const anyOf = schema["anyOf"];
  return Array.isArray(anyOf) ? anyOf.filter(isSchema).flatMap(forms) : [schema];
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null;
const objectOf = (value: unknown): JsonSchema => (isSchema(value) ? value : {});
