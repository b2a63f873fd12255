import type { Write } from "../store.ts";

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What each bridge remembers, by its key's bytes. */
export class States {
  private readonly byOwner = new Map<string, Map<string, Entry>>();

  /** Sets, or without a value deletes. */
  write({ owner, key, value }: Write & { write: "state" }): void {
    const known = this.byOwner.get(owner) ?? new Map<string, Entry>();
    this.byOwner.set(owner, known);
    const name = Buffer.from(key).toString("latin1");
    if (value === undefined) known.delete(name);
    else known.set(name, { key, value });
  }

  of(owner: string): readonly Entry[] {
    return [...(this.byOwner.get(owner)?.values() ?? [])];
  }
}
