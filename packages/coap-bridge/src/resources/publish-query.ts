import type { Qos } from "@nomq/core";
import { LONGEST_MAX_AGE, type PublishQuery } from "../mapping.ts";

/** What a query says of a publish, or why it says nothing: a few words for the one who sent it. */
export type ReadPublishQuery = { readonly query: PublishQuery } | { readonly fault: string };

const MOST_ID_BYTES = 128;
const YES = new Set(["true", "1"]);
const NO = new Set(["false", "0"]);

type Read = (value: string) => PublishQuery | string;

const READERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["qos", (value) => (/^[012]$/.test(value) ? { qos: toQos(value) } : "qos is 0, 1 or 2")],
  ["retain", (value) => flag(value) ?? "retain is true or false"],
  ["ttl", (value) => wholeNumber(value, LONGEST_MAX_AGE, (ttl) => ({ ttl })) ?? "ttl is in whole seconds"],
  ["priority", (value) => wholeNumber(value, 15, (priority) => ({ priority })) ?? "priority is 0 to 15"],
  ["id", (value) => identity(value) ?? `id has 1 to ${MOST_ID_BYTES} bytes`],
]);

/** What a DELETE may say: it sets nothing that could be retained or expire. */
export const DELETE_PARAMETERS: readonly string[] = ["qos", "priority", "id"];
/** What a PUT or POST may say. */
const PUBLISH_PARAMETERS: readonly string[] = [...READERS.keys()];

/** Reads the parameters of a PUT, POST or DELETE. A name that means nothing is refused: it may be a mistyped one. */
export function readPublishQuery(
  parameters: ReadonlyMap<string, string>,
  known: readonly string[] = PUBLISH_PARAMETERS,
): ReadPublishQuery {
  let query: PublishQuery = NO_WISHES;
  for (const [name, value] of parameters) {
    const read = known.includes(name) ? READERS.get(name) : undefined;
    const said = read === undefined ? `unknown parameter; known are ${known.join(", ")}` : read(value);
    if (typeof said === "string") return { fault: said };
    query = { ...query, ...said };
  }
  return { query };
}

const NO_WISHES: PublishQuery = {};

function toQos(value: string): Qos {
  return value === "2" ? 2 : value === "1" ? 1 : 0;
}

function flag(value: string): PublishQuery | undefined {
  if (YES.has(value)) return { retain: true };
  return NO.has(value) ? { retain: false } : undefined;
}

function wholeNumber(
  value: string,
  most: number,
  say: (uint: number) => PublishQuery,
): PublishQuery | undefined {
  return /^\d{1,10}$/.test(value) && Number(value) <= most ? say(Number(value)) : undefined;
}

function identity(id: string): PublishQuery | undefined {
  return id !== "" && Buffer.byteLength(id) <= MOST_ID_BYTES ? { id } : undefined;
}
