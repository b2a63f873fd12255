import { basename, dirname } from "node:path";

const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

/** What an operator can do about a damaged store; the commands stand in docs/store.md. */
function waysOut(folder: string): string {
  const data = quoted(basename(folder) === "store" ? dirname(folder) : folder);
  return (
    `Put a backup of ${folder} in its place; or rescue what is readable: ` +
    `nomq store export --salvage ${data} > rescued.jsonl, then move ${folder} away and ` +
    `nomq store import ${data} < rescued.jsonl; or move it away to start empty.`
  );
}

/** Where nothing has been written yet. */
export const untouched = (folder: string): string => `Nothing was changed. ${waysOut(folder)}`;

/** Where LevelDB has been open, which puts away by itself what of its log it cannot read. */
export const opened = (folder: string): string => `Nothing that can be read was removed. ${waysOut(folder)}`;
