import type { z } from "zod";
import { type JsonSchema, keysAt, wordsAt } from "./json-schema.ts";
import { listed } from "./listed.ts";
import { nearest } from "./nearest.ts";

/** One thing wrong with a configuration. */
export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly reason: string;
  readonly suggestion?: string;
  /** The part of the file is understood, and comes in a later version. */
  readonly notYet?: boolean;
}

type Issue = z.core.$ZodIssue;

/** What the schema found, in the words of the person who wrote the file. */
export function faultsOf(error: z.ZodError, value: unknown, schema: JsonSchema): Fault[] {
  return error.issues.flatMap((issue) => faultsOfIssue(issue, [], { value, schema }));
}

/** `mqtt.listen[0].url`; the whole file is `(file)`. */
export function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "(file)";
  return path
    .map((step, at) => (typeof step === "number" ? `[${step}]` : `${at === 0 ? "" : "."}${String(step)}`))
    .join("");
}

interface Read {
  readonly value: unknown;
  readonly schema: JsonSchema;
}

function faultsOfIssue(issue: Issue, above: readonly PropertyKey[], read: Read): Fault[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(path, key, read.schema));
  if (issue.code === "invalid_union") {
    const meant = branchMeant(issue.errors);
    if (meant !== undefined) return meant.flatMap((each) => faultsOfIssue(each, path, read));
  }
  if (valueAt(read.value, path) === undefined && path.length > 0) return [{ path, reason: "is missing" }];
  if (issue.code === "invalid_value") return [badWord(path, issue.values, read)];
  return [{ path, reason: reasonOf(issue) }];
}

/** The form that was meant: the one whose outer type fits; of several, the one with the fewest faults. */
function branchMeant(branches: readonly Issue[][]): Issue[] | undefined {
  const fitting = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || isInside(issue)),
  );
  return fitting.sort((a, b) => a.length - b.length)[0];
}

const isInside = (issue: Issue): boolean => issue.code === "unrecognized_keys" || issue.code === "custom";

function unknownKey(path: readonly PropertyKey[], key: string, schema: JsonSchema): Fault {
  const known = keysAt(schema, path);
  const near = nearest(key, known);
  const suggestion = near === undefined ? `known here: ${known.join(", ")}` : `did you mean ${near}?`;
  return { path: [...path, key], reason: "is not a known key", suggestion };
}

function badWord(path: readonly PropertyKey[], values: readonly unknown[], read: Read): Fault {
  const given = valueAt(read.value, path);
  const reason = `expected ${listed(values.map(String))}`;
  if (typeof given !== "string") return { path, reason };
  const near = nearest(given, wordsAt(read.schema, path));
  return near === undefined ? { path, reason } : { path, reason, suggestion: `did you mean ${near}?` };
}

function reasonOf(issue: Issue): string {
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid"))
    return `expected ${wanted(issue.expected)}`;
  return issue.message;
}

function wanted(type: string): string {
  if (type === "object") return "a mapping of keys";
  return type === "string" ? "text" : type;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Reflect.get(at, step);
  }
  return at;
}
