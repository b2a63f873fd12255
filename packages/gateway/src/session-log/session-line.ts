import type { LogFields, SessionEntry } from "@nomq/core";

/** Names come from the network: what is longer is cut. */
const LONGEST_TEXT = 256;
/** Details of one entry; more would be a mistake of ours. */
const MOST_DETAILS = 24;

/** One kept entry: a line of the file is this object. */
export interface KeptEntry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly who: string;
  readonly what: string;
  readonly details?: LogFields;
}

/** The entry with its time, texts cut to 256 characters and absent details left out. */
export function keptEntry({ who, what, details }: SessionEntry, now: number): KeptEntry {
  const said = detailsOf(details);
  const base = { at: isoTime(now), who: cut(who), what: cut(what) };
  return said === undefined ? base : { ...base, details: said };
}

/** The entry as a line of the file: one JSON object and a newline. */
export const lineOf = (entry: KeptEntry): string => `${JSON.stringify(entry)}\n`;

/** What makes two entries the same, their times aside. */
export const sameness = ({ who, what, details }: KeptEntry): string => JSON.stringify([who, what, details]);

function detailsOf(details: LogFields | undefined): LogFields | undefined {
  if (details === undefined) return undefined;
  const said = Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .slice(0, MOST_DETAILS)
    .map(([name, value]) => [name, typeof value === "string" ? cut(value) : value] as const);
  return said.length === 0 ? undefined : Object.fromEntries(said);
}

function cut(text: string): string {
  if (text.length <= LONGEST_TEXT) return text;
  // Copied: V8 keeps the whole of a text in memory for as long as a piece of it is held.
  const start = Buffer.from(text.slice(0, LONGEST_TEXT), "utf16le").toString("utf16le");
  return `${start}…`;
}

/** A wall clock may stand where no date is. */
function isoTime(now: number): string {
  const date = new Date(now);
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}
