import { AgedMap } from "@nomq/core";

interface Entry {
  readonly channel: string;
  readonly seq: number;
}

/** Which messages each channel's history holds; the channel heard of last stands last. */
export class HistoryIndex {
  private byChannel = new AgedMap<string, number[]>();
  private isLoaded = false;
  private readonly limits: { readonly last: number; readonly channels: number };

  constructor(limits: { readonly last: number; readonly channels: number }) {
    this.limits = limits;
  }

  /** Notes a message; answers what must go, which is nothing before the old entries are known. */
  add(channel: string, seq: number): Entry[] {
    const known = this.byChannel.get(channel);
    if (known !== undefined) this.byChannel.delete(channel);
    const list = known ?? [];
    list.push(seq);
    this.byChannel.set(channel, list);
    if (!this.isLoaded) return [];
    const gone = list
      .splice(0, Math.max(0, list.length - this.limits.last))
      .map((old) => ({ channel, seq: old }));
    return [...gone, ...this.dropSilent()];
  }

  /** Takes the entries of earlier runs, each channel's in ascending order. */
  load(old: ReadonlyMap<string, number[]>): void {
    const merged = new Map([...old].sort(([, one], [, other]) => (one.at(-1) ?? 0) - (other.at(-1) ?? 0)));
    for (const channel of this.byChannel.keys()) {
      const before = merged.get(channel) ?? [];
      merged.delete(channel);
      merged.set(channel, [...before, ...(this.byChannel.get(channel) ?? [])]);
    }
    this.byChannel = new AgedMap();
    for (const [channel, seqs] of merged) this.byChannel.set(channel, seqs);
    this.isLoaded = true;
  }

  private dropSilent(): Entry[] {
    const channel = this.byChannel.oldest();
    if (channel === undefined || this.byChannel.size <= this.limits.channels) return [];
    const seqs = this.byChannel.get(channel) ?? [];
    this.byChannel.delete(channel);
    return seqs.map((seq) => ({ channel, seq }));
  }
}
