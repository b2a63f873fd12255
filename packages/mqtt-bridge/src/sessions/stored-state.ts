import { KIND } from "./stored-key.ts";

/** One stored record. */
export type Stored = readonly [key: Uint8Array, value: Uint8Array];

/** All that was stored, by kind, each in the order of its keys. */
export interface StoredState {
  of(kind: keyof typeof KIND): readonly Stored[];
  /** The same, which is let go with what it takes of memory. */
  take(kind: keyof typeof KIND): readonly Stored[];
}

/** Reads all of it. */
export async function readState(records: AsyncIterable<Stored>): Promise<StoredState> {
  const byKind = new Map<number, Stored[]>();
  for await (const record of records) {
    const kind = record[0][0] ?? 0;
    const known = byKind.get(kind);
    if (known === undefined) byKind.set(kind, [record]);
    else known.push(record);
  }
  for (const [kind, known] of byKind) if (!isSorted(known)) byKind.set(kind, known.sort(byKey));
  const of = (kind: keyof typeof KIND): readonly Stored[] => byKind.get(KIND[kind]) ?? [];
  return {
    of,
    take(kind) {
      const all = of(kind);
      byKind.delete(KIND[kind]);
      return all;
    },
  };
}

function byKey([one]: Stored, [other]: Stored): number {
  return Buffer.compare(one, other);
}

function isSorted(records: readonly Stored[]): boolean {
  return records.every((record, at) => {
    const before = records[at - 1];
    return before === undefined || byKey(before, record) < 0;
  });
}
