import type { LedgerRow, OutboxLimits, Peer } from "../bridge.ts";
import type { CancelTimer } from "../clock.ts";
import { filterMatches } from "../message.ts";
import type { Principal } from "../principal.ts";
import { Echoes } from "./echo.ts";
import type { Counts } from "./ledger.ts";
import { Outbox } from "./outbox.ts";
import { Owed } from "./owed.ts";
import type { LedgerDelta } from "./store.ts";

/** A peer bound to its place: from attach to dispose. */
export class Binding {
  readonly peer: Peer;
  /** The port it was attached through: whose state its answers change. */
  readonly owner: string;
  readonly window: number;
  readonly isOrdered: boolean;
  readonly abort: AbortController = new AbortController();
  /** Kept here: the controller's own getter checks its receiver each time. */
  readonly signal: AbortSignal = this.abort.signal;
  paused: string | undefined = undefined;
  /** Counts pauses and resumes, so that a late resume undoes no later pause. */
  pauses = 0;
  /** No new calls. */
  isEnding = false;
  /** Answers count no more. */
  isOver = false;
  /** Calls open, and those that wait for the store first. */
  open = 0;
  /** Of open calls whose right may go: each aborts by itself. */
  readonly calls: Set<AbortController> = new Set();
  /** Owed values being read from the store. */
  reading = 0;
  whenIdle: (() => void) | undefined = undefined;
  ended: Promise<void> | undefined = undefined;

  constructor(peer: Peer, owner: string) {
    this.peer = peer;
    this.owner = owner;
    this.window = Math.max(1, Math.floor(peer.window ?? 1));
    this.isOrdered = peer.ordered === true;
  }
}

/** What the hub keeps under one attachment's name: interest, outbox, owed channels, counts; and the peer, if any. */
export class Place {
  readonly name: string;
  as: Principal;
  readonly isDurable: boolean;
  filters: Set<string>;
  readonly outbox: Outbox;
  readonly owed: Owed = new Owed();
  readonly counts: Counts;
  /** What the store has not heard of yet; the writer's. */
  unsaid: { readonly counts: Counts; readonly round: number } | undefined = undefined;
  readonly echoes: Echoes = new Echoes();
  binding: Binding | undefined = undefined;
  /** Its interest is not committed yet. */
  isTentative = false;
  /** Detached for good or forgotten: takes nothing more. */
  goneAs: "detached" | "forgotten" | undefined = undefined;
  /** Rows below this `seq` may have been sent by an earlier run. */
  readonly firstOfRun: number;
  idleSince: number;
  /** How long it had been away when this run began, milliseconds. */
  awayBefore = 0;
  /** What is written down of since when it is away, Unix milliseconds; undefined: nothing. */
  keptAway: number | undefined = undefined;
  /** Channels it is owed whatever the store holds; written down. */
  readonly keptOwed: Set<string> = new Set();
  /** Set while a match collects each place once. */
  stamp = 0;
  isPumping = false;
  isDeferred = false;
  isScanning = false;
  readonly timers: Set<CancelTimer> = new Set();

  constructor(options: {
    name: string;
    as: Principal;
    isDurable: boolean;
    filters: Iterable<string>;
    limits: OutboxLimits;
    counts: Counts;
    firstOfRun: number;
    idleSince: number;
  }) {
    this.name = options.name;
    this.as = options.as;
    this.isDurable = options.isDurable;
    this.filters = new Set(options.filters);
    this.outbox = new Outbox(options.limits);
    this.counts = options.counts;
    this.firstOfRun = options.firstOfRun;
    this.idleSince = options.idleSince;
  }

  /** The bound peer if it takes calls now. */
  active(): Binding | undefined {
    const { binding } = this;
    if (binding === undefined || binding.paused !== undefined || binding.isEnding) return undefined;
    return binding;
  }

  /** Whether its filters cover the channel. */
  wants(channel: string): boolean {
    for (const filter of this.filters) if (filterMatches(filter, channel)) return true;
    return false;
  }

  ledger(): LedgerRow {
    return this.counts.row(this.outbox.messages);
  }
}

/** What the store must hear of an entry that has no row there. */
export function deltaOf(counts: Counts): LedgerDelta {
  const { pending: _, ...delta } = counts.row(0);
  return delta;
}
