import { codeOf, type Log } from "@nomq/core";

/** Those who want to be called back. */
export interface Hearers<T> {
  /** Answers how to stop that. */
  add(hear: (value: T) => void): () => void;
  /** What one of them throws is logged, and the others are still told. */
  tell(value: T, log: Log): void;
}

export function createHearers<T>(): Hearers<T> {
  const all = new Set<{ readonly hear: (value: T) => void }>();
  return {
    add(hear) {
      const one = { hear };
      all.add(one);
      return () => void all.delete(one);
    },
    tell(value, log) {
      for (const { hear } of [...all]) {
        try {
          hear(value);
        } catch (error) {
          log.error("an XMPP listener failed", { reason: codeOf(error) });
        }
      }
    },
  };
}
