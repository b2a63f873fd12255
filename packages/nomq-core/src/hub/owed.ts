import { filterMatches } from "../message.ts";

/** Why a channel's retained value must still be sent: a burst at attach, or a correction. */
export type OwedCause = "retained" | "repair";

export interface OwedItem {
  readonly channel: string;
  cause: OwedCause;
  /** The hub's `seq` when it came to be owed: its age beside live messages. */
  readonly order: number;
  /** It goes before a live message without retain that has come since. */
  isFirst: boolean;
  /** Waits out a failed attempt. */
  isDelayed: boolean;
}

/** Channels of which the store is still asked whether they must be sent. */
export interface Scan {
  readonly filters: readonly string[];
  readonly cause: OwedCause;
  /** Channels on which a live message came meanwhile: they are settled already. */
  readonly seen: Set<string>;
}

/** The channels whose retained state one attachment must still be sent. */
export class Owed {
  readonly items: Map<string, OwedItem> = new Map();
  /** Those that wait for nothing but their turn, in the order they came. */
  readonly ready: Map<string, OwedItem> = new Map();
  readonly scans: Scan[] = [];
  /** How often in a row the channel's value could not be delivered. */
  readonly failures: Map<string, number> = new Map();

  owe(channel: string, cause: OwedCause, order: number): OwedItem {
    const known = this.items.get(channel);
    if (known !== undefined) {
      if (cause === "repair") known.cause = cause;
      return known;
    }
    const item: OwedItem = { channel, cause, order, isFirst: false, isDelayed: false };
    this.items.set(channel, item);
    return item;
  }

  strike(channel: string): void {
    this.items.delete(channel);
    this.ready.delete(channel);
  }

  clear(): void {
    this.items.clear();
    this.ready.clear();
    this.failures.clear();
    this.scans.length = 0;
  }

  /** A live message enters; answers whether a scan under way must count its channel as owed. */
  sees(channel: string, isRetained: boolean): boolean {
    let isNew = false;
    for (const scan of this.scans) {
      // A correction is needed all the same: only a change carries the value itself.
      if (scan.seen.has(channel) || (scan.cause === "repair" && !isRetained)) continue;
      if (!scan.filters.some((filter) => filterMatches(filter, channel))) continue;
      scan.seen.add(channel);
      isNew ||= !isRetained && scan.cause === "retained";
    }
    return isNew;
  }
}
