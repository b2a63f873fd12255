import type { ChannelsOptions } from "../bridge.ts";
import { filterMatches } from "../message.ts";
import { AgedMap } from "./aged-map.ts";
import { Fifo } from "./fifo.ts";

/** So many names are told before other callbacks get their turn. */
const AT_ONCE = 1024;

interface Watcher {
  readonly filter: string;
  readonly names: Fifo<string>;
  wake: (() => void) | undefined;
}

/** Bytes of all names seen, as UTF-16: a name may have 65,535, and whoever may publish makes them up. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Names the hub has seen: bounded in number and in bytes, configured ones stay, new ones are announced. */
export class Channels {
  private readonly configured: ReadonlySet<string>;
  private readonly seen = new AgedMap<string, true>();
  private readonly most: number;
  private bytes = 0;
  private readonly watchers = new Set<Watcher>();
  private isClosed = false;

  constructor(options: { configured: readonly string[]; most: number }) {
    this.configured = new Set(options.configured);
    this.most = options.most;
  }

  learn(name: string): void {
    if (this.seen.has(name) || this.configured.has(name)) return;
    this.seen.set(name, true);
    this.bytes += 2 * name.length;
    while (this.seen.size > this.most || this.bytes > MOST_BYTES) this.forgetOldest();
    for (const watcher of this.watchers) this.announce(watcher, name);
  }

  private forgetOldest(): void {
    const oldest = this.seen.oldest();
    if (oldest === undefined) return;
    this.seen.delete(oldest);
    this.bytes -= 2 * oldest.length;
  }

  /** Known names under the filter, then (unless told not to follow) each new one until aborted or closed. */
  async *list(filter: string, options: ChannelsOptions = {}): AsyncGenerator<string> {
    const { signal, follow = true } = options;
    const watcher: Watcher = { filter, names: new Fifo(), wake: undefined };
    for (const name of this.known(filter)) this.announce(watcher, name);
    this.watchers.add(watcher);
    const aborted = (): void => watcher.wake?.();
    signal?.addEventListener("abort", aborted);
    try {
      for (let told = 1; signal?.aborted !== true; told += 1) {
        if (told % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
        const name = watcher.names.shift();
        if (name !== undefined) yield name;
        else if (this.isClosed || !follow) return;
        else {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
        }
      }
    } finally {
      this.watchers.delete(watcher);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Names that may be under the filter: of one name it is known without looking through all. */
  private known(filter: string): readonly string[] {
    if (/[+#]/.test(filter)) return [...this.configured, ...this.seen.keys()];
    return this.configured.has(filter) || this.seen.has(filter) ? [filter] : [];
  }

  close(): void {
    this.isClosed = true;
    for (const watcher of this.watchers) watcher.wake?.();
  }

  private announce(watcher: Watcher, name: string): void {
    if (!filterMatches(watcher.filter, name)) return;
    // A reader that sleeps loses the oldest, as the list itself does.
    if (watcher.names.size > this.most + this.configured.size) watcher.names.shift();
    watcher.names.push(name);
    watcher.wake?.();
  }
}
