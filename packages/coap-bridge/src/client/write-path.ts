import { isSegment } from "../wire/uri-path.ts";

/**
 * What of a channel is appended to the URL of a `send` entry: the levels that the wildcards of its filter stand for, in
 * their order. Undefined where a level can be no path segment (`.`, `..`, longer than 255 bytes).
 */
export function appendedSegments(filter: string, channel: string): readonly Uint8Array[] | undefined {
  const levels = channel.split("/");
  const found: string[] = [];
  for (const [at, level] of filter.split("/").entries()) {
    if (level === "#") found.push(...levels.slice(at));
    if (level === "+") found.push(levels[at] ?? "");
  }
  return found.every(isSegment) ? found.map((level) => Buffer.from(level)) : undefined;
}
