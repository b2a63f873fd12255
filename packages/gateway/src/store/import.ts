import { randomUUID } from "node:crypto";
import { readdir, rename, rm } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { NomqError } from "@nomq/core";
import { FORMAT, makeFolder, writeMark } from "./disk/folder.ts";
import { openLevel } from "./disk/level.ts";
import { Importing } from "./import-entries.ts";
import { type ImportLine, invalid, parseLine } from "./import-lines.ts";

/** What an import has taken. */
export interface Imported {
  readonly lines: number;
  /** Lines of kind `damaged`: what the export could not read. */
  readonly damaged: number;
}

/**
 * Makes a store in a folder that is missing or empty, out of the lines of {@link exportStore} or `salvageStore`.
 * Everything or nothing: lines that are cut off or changed are refused with `import-invalid`, a folder that holds
 * something with `data-in-use`.
 */
export async function importStore(folder: string, lines: AsyncIterable<string>): Promise<Imported> {
  if ((await readdir(folder).catch(() => [])).length > 0)
    throw new NomqError("data-in-use", `${folder} is not empty; a store is imported into an empty folder`);
  const half = `${folder}.importing-${randomUUID()}`;
  await makeFolder(half);
  try {
    const imported = await filled(half, lines);
    await rename(half, folder);
    return imported;
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    throw error;
  }
}

async function filled(folder: string, lines: AsyncIterable<string>): Promise<Imported> {
  const level = await openLevel(folder, { create: true });
  try {
    const importing = new Importing(level);
    const imported = await allLines(lines, importing);
    const id = await importing.finish();
    await writeMark(folder, { format: FORMAT, id });
    return imported;
  } finally {
    await level.close();
  }
}

async function allLines(lines: AsyncIterable<string>, importing: Importing): Promise<Imported> {
  let [count, damaged, sum] = [0, 0, 0];
  let end: (ImportLine & { readonly kind: "end" }) | undefined;
  for await (const text of lines) {
    if (end !== undefined) throw invalid(count + 2, "comes after the end");
    const line = parseLine(text, count + 1);
    if ((count === 0) !== (line.kind === "store")) throw invalid(count + 1, "is not where it belongs");
    if (line.kind === "end") {
      end = line;
      continue;
    }
    count += 1;
    sum = crc32(`${text}\n`, sum);
    if (line.kind === "damaged") damaged += 1;
    await importing.take(line, count);
  }
  if (end === undefined) throw invalid(count + 1, "is missing: the export was cut off");
  if (end.lines !== count || end.crc32 !== sum)
    throw invalid(count + 1, "does not fit the lines before it: they were changed");
  return { lines: count, damaged };
}
