import { cp, rename, rm } from "node:fs/promises";
import { NomqError } from "@nomq/core";
import { type FolderMark, type Migration, readMark, writeMark } from "./folder.ts";

const copyOf = (folder: string): string => `${folder}.migrating`;

/** Puts a complete copy in its place when the process ended between the two renames. */
export async function completed(folder: string, to: number): Promise<void> {
  if ((await readMark(folder)) !== undefined) return;
  const copy = await readMark(copyOf(folder));
  if (copy?.format === to) await rename(copyOf(folder), folder);
}

/**
 * Brings a folder of an older format up to `to`, on a copy beside it that takes its place when it is complete; the
 * old one stays as `FOLDER.format-N`. Cut off midway, the old folder is as it was and the next start begins again.
 */
export async function migrated(
  folder: string,
  options: { readonly mark: FolderMark; readonly steps: ReadonlyMap<number, Migration>; readonly to: number },
): Promise<void> {
  const { mark, steps, to } = options;
  const copy = copyOf(folder);
  await rm(copy, { recursive: true, force: true });
  await cp(folder, copy, { recursive: true });
  for (let format = mark.format; format < to; format += 1) {
    const step = steps.get(format);
    if (step === undefined)
      throw new NomqError(
        "store-failed",
        `the store in ${folder} has format ${mark.format}, which this version cannot bring to ${to}. Nothing was changed.`,
      );
    await step(copy);
  }
  await writeMark(copy, { ...mark, format: to });
  await rename(folder, `${folder}.format-${mark.format}`);
  await rename(copy, folder);
}
