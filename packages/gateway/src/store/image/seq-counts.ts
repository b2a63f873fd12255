/** Numbers side by side share a map of so many. */
const SHARD = 2 ** 14;

/** How often numbers occur, in many small maps: one large map that grows stops the loop for a tenth of a second. */
export class SeqCounts {
  private readonly shards = new Map<number, Map<number, number>>();

  constructor(counts: Iterable<readonly [seq: number, count: number]> = []) {
    for (const [seq, count] of counts) this.set(seq, count);
  }

  get(seq: number): number | undefined {
    return this.shards.get(shardOf(seq))?.get(seq);
  }

  set(seq: number, count: number): void {
    const at = shardOf(seq);
    const shard = this.shards.get(at);
    if (shard === undefined) this.shards.set(at, new Map([[seq, count]]));
    else shard.set(seq, count);
  }

  add(seq: number): void {
    this.set(seq, (this.get(seq) ?? 0) + 1);
  }

  delete(seq: number): void {
    const at = shardOf(seq);
    const shard = this.shards.get(at);
    if (shard?.delete(seq) === true && shard.size === 0) this.shards.delete(at);
  }

  /** Forgets what occurs once, a part at each step: let other callbacks run between them. */
  *forgetSingles(): Generator<void> {
    for (const [at, shard] of this.shards) {
      for (const [seq, count] of shard) if (count === 1) shard.delete(seq);
      if (shard.size === 0) this.shards.delete(at);
      yield;
    }
  }

  /** Takes over what is not known here, at once; the other is used up. */
  adopt(other: SeqCounts): void {
    for (const [at, shard] of other.shards) {
      const own = this.shards.get(at);
      for (const [seq, count] of own ?? []) shard.set(seq, count);
      this.shards.set(at, shard);
    }
  }
}

const shardOf = (seq: number): number => Math.floor(seq / SHARD);
