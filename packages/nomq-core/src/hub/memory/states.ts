import type { Write } from "../store.ts";

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What each bridge remembers, by its key's bytes. */
export class States {
  /**
   * Each byte a character: a short array of a bridge's is mostly a view of Node's shared pool, of which it would keep
   * 64 KiB.
   */
  private readonly byOwner = new Map<string, Map<string, string>>();

  /** Sets, or without a value deletes. */
  write({ owner, key, value }: Write & { write: "state" }): void {
    const known = this.byOwner.get(owner) ?? new Map<string, string>();
    this.byOwner.set(owner, known);
    const name = textOf(key);
    if (value === undefined) known.delete(name);
    else known.set(name, textOf(value));
  }

  of(owner: string): readonly Entry[] {
    const known = this.byOwner.get(owner) ?? new Map<string, string>();
    return Array.from(known, ([name, value]) => ({ key: bytesOf(name), value: bytesOf(value) }));
  }
}

function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
