import { hash } from "node:crypto";

/** From here on V8 hashes a string by its length alone: names of one length then meet in every map they are keys of. */
const LONGEST_HASHED = 16_383;
const MOST = 64;

/**
 * Channels too long to be told apart quickly. A few may be used; a few hundred would stall the process,
 * and whoever may publish can make them up. None is forgotten within a run: its values may be anywhere.
 */
export class LongNames {
  /** Digests: to be told from the names themselves, each new one would be compared with all of them. */
  private readonly taken = new Set<string>();

  /** Whether the name may be used; a long one that is new takes a place. */
  take(name: string): boolean {
    if (name.length <= LONGEST_HASHED) return true;
    const digest = hash("sha256", name, "base64");
    if (this.taken.has(digest)) return true;
    if (this.taken.size >= MOST) return false;
    this.taken.add(digest);
    return true;
  }
}
