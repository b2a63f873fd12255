import { once } from "node:events";
import { resolve } from "node:path";
import { NomqError } from "@nomq/core";
import { inUse, storeFolderIn } from "../open-store.ts";
import {
  checkStore,
  type ExportLine,
  exportStore,
  importStore,
  type StoreReport,
  salvageStore,
} from "../store/index.ts";
import { type PlaceOptions, placedConfig } from "./place.ts";
import { stdinLines } from "./stdin.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq store check`, `nomq store export` and `nomq store import`. */
export interface StoreCommandOptions extends PlaceOptions {
  readonly json?: boolean;
  readonly salvage?: boolean;
}

/** `nomq store check`: 0 for a sound store, 1 for one with faults, or that cannot be read. */
export async function runStoreCheck(dir: string | undefined, options: StoreCommandOptions): Promise<number> {
  const data = dataOf(dir, options);
  const folder = storeFolderIn(data);
  const report = await naming(data, () => checkStore(folder));
  const isSound = report.faults.length === 0;
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ folder, sound: isSound, ...report })}\n`
      : reportText(folder, report),
  );
  return isSound ? 0 : 1;
}

/** `nomq store export`: JSON lines; 1 where a value was damaged, or nothing can be read. */
export async function runStoreExport(dir: string | undefined, options: StoreCommandOptions): Promise<number> {
  const data = dataOf(dir, options);
  const folder = storeFolderIn(data);
  return await naming(data, () =>
    written(options.salvage === true ? salvageStore(folder) : exportStore(folder)),
  );
}

/** `nomq store import`: everything that standard input holds, or nothing. */
export async function runStoreImport(dir: string | undefined, options: StoreCommandOptions): Promise<number> {
  const folder = storeFolderIn(dataOf(dir, options));
  const imported = await importStore(folder, stdinLines());
  const { lines, damaged } = imported;
  const text = `${folder}: ${lines} lines imported${damaged === 0 ? "" : `, ${damaged} of them name what was lost`}`;
  process.stdout.write(`${options.json === true ? JSON.stringify({ folder, ...imported }) : text}\n`);
  return 0;
}

async function written(lines: AsyncIterable<ExportLine>): Promise<number> {
  let damaged = 0;
  for await (const { kind, text } of lines) {
    if (kind === "damaged") damaged += 1;
    if (!process.stdout.write(`${text}\n`)) await once(process.stdout, "drain");
  }
  if (damaged === 0) return 0;
  process.stderr.write(`${damaged} damaged values could not be read; each is a line of kind damaged\n`);
  return 1;
}

function dataOf(dir: string | undefined, options: StoreCommandOptions): string {
  if (dir !== undefined && options.data !== undefined)
    throw new UsageError("the folder is given twice: as an argument and as --data");
  if (dir !== undefined) return resolve(dir);
  const { data } = placedConfig(options).config;
  if (data === "memory") throw new UsageError("with data: memory there is no store; name a data folder");
  return data;
}

async function naming<T>(data: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof NomqError && error.code === "data-in-use" ? inUse(data, error) : error;
  }
}

function reportText(folder: string, report: StoreReport): string {
  const { faults, attachments, messages, rows, retained, receipts, leftover, quarantined } = report;
  const counts = [
    `${attachments} attachments, ${messages} messages, ${rows} waiting`,
    `${retained} retained values, ${receipts} receipts`,
    `${leftover} left over, ${quarantined} put aside as damaged`,
  ];
  const found = faults.length === 0 ? [`${folder} is sound`] : [`${folder} has faults:`, ...faults];
  return `${found.join("\n  ")}\n${counts.map((line) => `  ${line}\n`).join("")}`;
}
