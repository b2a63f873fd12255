import { NomqError } from "@nomq/core";
import type { Level, Operations } from "../disk/level.ts";
import { opened } from "../disk/ways-out.ts";
import { DamagedValue } from "../layout/bytes.ts";
import { commitKey, Space, seqIn, spaceRange } from "../layout/keys.ts";
import { type CommitRecord, readCommit, writeCommit } from "../layout/records.ts";

/** So many commit records are kept; a hole among them shows a batch that the disk lost. */
export const KEPT_COMMITS = 4_096;

/** The last commit and its number. */
export interface LastCommit extends CommitRecord {
  readonly number: number;
}

/** The records of a new store, as if it had committed that often; `given` is what it holds already. */
export function firstCommits(
  operations: Operations,
  given: { readonly highest: number; readonly receipts: number } = { highest: 0, receipts: 0 },
): LastCommit {
  const record = { operations: 0, ...given };
  for (let number = 1; number <= KEPT_COMMITS; number += 1) putCommit(operations, { ...record, number });
  return { ...record, number: KEPT_COMMITS };
}

function putCommit(operations: Operations, commit: LastCommit): void {
  const key = commitKey(commit.number);
  operations.put(key, writeCommit(key, commit));
}

/** Puts the record and lets the oldest go. */
export function nextCommit(operations: Operations, commit: LastCommit): void {
  putCommit(operations, commit);
  operations.del(commitKey(commit.number - KEPT_COMMITS));
}

/**
 * The last commit, after a look at all that are kept. Refuses a store with a batch missing: LevelDB itself opens it
 * and says nothing (store damage shows as exactly this).
 */
export async function lastCommit(level: Level, folder: string): Promise<LastCommit> {
  const entries = await level.page(spaceRange(Space.commit), KEPT_COMMITS + 2);
  const first = entries[0];
  const last = entries.at(-1);
  if (first === undefined || last === undefined)
    throw new NomqError("store-damaged", `the store in ${folder} holds no commits. ${opened(folder)}`);
  const expected = seqIn(last[0]) - KEPT_COMMITS + 1;
  const gap = entries.findIndex(([key], at) => seqIn(key) !== expected + at);
  if (entries.length !== KEPT_COMMITS || gap !== -1) {
    const number = gap === -1 ? expected : expected + gap;
    throw new NomqError(
      "store-damaged",
      `the store in ${folder} has lost commit ${number}: its log is damaged. ${opened(folder)}`,
    );
  }
  try {
    return { ...readCommit(...last), number: seqIn(last[0]) };
  } catch (error) {
    if (!(error instanceof DamagedValue)) throw error;
    const text = `the last commit of the store in ${folder} is damaged: ${error.message}. ${opened(folder)}`;
    throw new NomqError("store-damaged", text, { cause: error });
  }
}
