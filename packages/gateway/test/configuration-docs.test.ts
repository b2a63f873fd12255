import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { configJsonSchema, type JsonSchema } from "../src/config/json-schema.ts";
import { inspectConfig } from "../src/config/load.ts";

const DOC = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");

/** Every path of the schema: `nomq.devices[].name`. */
function paths(schema: unknown, at = ""): string[] {
  if (!isSchema(schema)) return [];
  const { anyOf, items, properties } = schema as {
    anyOf?: unknown[];
    items?: unknown;
    properties?: JsonSchema;
  };
  if (anyOf !== undefined) return anyOf.flatMap((form) => paths(form, at));
  if (items !== undefined) return paths(items, `${at}[]`);
  return Object.entries(properties ?? {}).flatMap(([key, value]) => {
    const path = at === "" ? key : `${at}.${key}`;
    return [path, ...paths(value, path)];
  });
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null;

/** Listeners, outboxes and secrets are told once for all sections. */
const told = (path: string): string =>
  path
    .replace(/^\w+\.(listen\[\]\.)/, "$1")
    .replace(/^.*\.(outbox\.)/, "$1")
    .replace(/\.(encryption|mac|password|token|key|secret|masterSecret|masterSalt)\.(file|env)$/, ".$1");

describe("docs/configuration.md", () => {
  test("names every key of the schema", () => {
    // The sections themselves are headings.
    const missing = paths(configJsonSchema())
      .map(told)
      .filter((path) => !DOC.includes(`\`${path}\``));
    expect(missing).toEqual([]);
  });

  test("names no key that the schema does not have", () => {
    const known = new Set(paths(configJsonSchema()).map(told));
    const rows = DOC.split("\n").filter((line) => line.startsWith("| `"));
    const named = rows.flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, key]) => key),
    );
    expect(named.filter((key) => key !== undefined && !known.has(key))).toEqual([]);
  });

  test("its example is a valid file", () => {
    const [, text] = /```yaml\n([^`]*)```/.exec(DOC) ?? [];
    expect(inspectConfig({ name: "example", text: text ?? "", folder: "/" })).toMatchObject({ ok: true });
  });
});

test("the published JSON Schema is that of the code; vitest -u writes it anew", async () => {
  const text = `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot("../gateway.schema.json");
});
