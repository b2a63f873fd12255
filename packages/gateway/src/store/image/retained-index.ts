import { AgedMap, SortedNames } from "@nomq/core";

/** Which channels have a retained value or a tombstone. */
export class RetainedIndex {
  private readonly held = new Set<string>();
  private readonly names = new SortedNames((name) => this.held.has(name));
  /** Cleared channels, the longest cleared first. */
  private tombstones = new AgedMap<string, true>();
  /** Changed before the old ones were known. */
  private changed: Set<string> | undefined = new Set();
  private readonly most: number;

  /** Keeps at most so many tombstones. */
  constructor(most: number) {
    this.most = most;
  }

  /** All names in order of their UTF-16 code units, and some that have gone. */
  all(): readonly string[] {
    return this.names.all();
  }

  isTombstone(channel: string): boolean {
    return this.tombstones.has(channel);
  }

  set(channel: string): void {
    this.changed?.add(channel);
    this.hold(channel);
    this.tombstones.delete(channel);
  }

  /** The channel was cleared; answers the tombstone that must go for it. */
  bury(channel: string): string | undefined {
    this.changed?.add(channel);
    this.hold(channel);
    this.tombstones.delete(channel);
    this.tombstones.set(channel, true);
    if (this.changed !== undefined || this.tombstones.size <= this.most) return undefined;
    const oldest = this.tombstones.oldest();
    if (oldest !== undefined) this.forget(oldest);
    return oldest;
  }

  forget(channel: string): void {
    this.tombstones.delete(channel);
    if (this.held.delete(channel)) this.names.gone();
  }

  loadValue(channel: string): void {
    if (this.changed?.has(channel) !== true) this.hold(channel);
  }

  /** Takes the tombstones of earlier runs, the oldest first; no more will come. */
  loaded(tombstones: readonly string[]): void {
    const old = tombstones.filter((channel) => this.changed?.has(channel) !== true);
    for (const channel of old) this.hold(channel);
    const fresh = this.tombstones.keys();
    this.tombstones = new AgedMap();
    for (const channel of [...old, ...fresh]) this.tombstones.set(channel, true);
    this.changed = undefined;
  }

  private hold(channel: string): void {
    if (this.held.has(channel)) return;
    this.held.add(channel);
    this.names.add(channel);
  }
}
