import type { Progress, StoreProgress } from "../bridge.ts";
import type { Core } from "./core.ts";
import type { Counts } from "./ledger.ts";
import type { Place } from "./place.ts";

/** What was seen of one attachment at the last look; times are monotonic. */
interface Seen {
  /** Messages that had come to an end at the peer. */
  taken: number;
  movedAt: number | undefined;
  stillSince: number | undefined;
}

/**
 * Watermarks: who has messages waiting and takes none. Found by looking now and then, so that a message costs nothing.
 */
export class Watch {
  private readonly core: Core;
  private readonly seen = new Map<string, Seen>();
  /** The commit that was open at the last look, and since which look it is. */
  private commit: { readonly open: object; readonly since: number } | undefined;

  constructor(core: Core) {
    this.core = core;
    core.time.looked = () => this.look();
    // What an earlier run counted is no movement of this one.
    for (const [name, { counts }] of core.places) this.seen.set(name, newcomer(takenOf(counts)));
  }

  /** What moves at an attachment, as far as the last look saw. */
  progressOf(place: Place): Progress {
    const { movedAt, stillSince } = this.seen.get(place.name) ?? {};
    return {
      open: place.binding?.open ?? 0,
      ...(movedAt === undefined ? {} : { movedAt: this.wall(movedAt) }),
      // Since the last look it may have been emptied.
      ...(stillSince === undefined || !canMove(place) ? {} : { stillSince: this.wall(stillSince) }),
    };
  }

  store(): StoreProgress {
    const { open, waiting } = this.core.writer.progress();
    const { commit } = this;
    const isStill = commit !== undefined && commit.open === open;
    return { waiting, ...(isStill ? { stillSince: this.wall(commit.since) } : {}) };
  }

  private look(): void {
    const now = this.core.time.monotonic();
    const { past, places, writer } = this.core;
    for (const place of places.values()) this.lookAt(place, now);
    for (const name of this.seen.keys()) if (!places.has(name) && !past.has(name)) this.seen.delete(name);
    const { open } = writer.progress();
    if (open === undefined) this.commit = undefined;
    else if (this.commit?.open !== open) this.commit = { open, since: now };
  }

  private lookAt(place: Place, now: number): void {
    const taken = takenOf(place.counts);
    const seen = this.seen.get(place.name) ?? newcomer(0);
    this.seen.set(place.name, seen);
    const hasMoved = taken !== seen.taken;
    seen.taken = taken;
    if (hasMoved) seen.movedAt = now;
    if (!canMove(place)) seen.stillSince = undefined;
    else if (hasMoved || seen.stillSince === undefined) seen.stillSince = now;
  }

  private wall(monotonic: number): number {
    const { clock } = this.core.time;
    return Math.round(clock.now() - (clock.monotonic() - monotonic));
  }
}

const newcomer = (taken: number): Seen => ({ taken, movedAt: undefined, stillSince: undefined });
const takenOf = ({ delivered, refused, uncertain }: Counts): number => delivered + refused + uncertain;

/** Something waits, and its peer may be called. */
const canMove = (place: Place): boolean => place.active() !== undefined && place.outbox.messages > 0;
