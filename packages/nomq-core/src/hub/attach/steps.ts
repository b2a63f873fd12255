import type { OutboxLimits, Peer } from "../../bridge.ts";
import { NomqError } from "../../errors.ts";
import { filterMatches } from "../../message.ts";
import type { Core } from "../core.ts";
import { claim } from "../keeper.ts";
import { Counts } from "../ledger.ts";
import { DEFAULT_OUTBOX } from "../outbox.ts";
import { Binding, Place } from "../place.ts";
import { hasChange } from "../repairs.ts";
import type { Step } from "../step.ts";
import type { Write } from "../store.ts";

/** Puts a peer in its place, in the queue's order. */
export class AttachStep implements Step {
  readonly bytes = 0;
  private readonly core: Core;
  private readonly peer: Peer;
  private readonly owner: string;
  private readonly done: (result: { place: Place } | { error: unknown }) => void;
  /** Taken back before its turn came. */
  isCancelled = false;
  private place: Place | undefined;
  private undo: (() => void) | undefined;
  private isNew = false;

  constructor(
    core: Core,
    attaching: { readonly peer: Peer; readonly owner: string },
    done: (result: { place: Place } | { error: unknown }) => void,
  ) {
    this.core = core;
    this.peer = attaching.peer;
    this.owner = attaching.owner;
    this.done = done;
  }

  decide(batch: { offers: Write[] }): "commit" | "done" {
    if (this.isCancelled) return "done";
    const { core, peer } = this;
    const known = core.places.get(peer.name);
    const place = known ?? newPlace(core, peer);
    this.place = place;
    this.isNew = known === undefined;
    const filters = peer.filters ?? [...place.filters];
    const limits = { ...(this.isNew ? DEFAULT_OUTBOX : place.outbox.limits), ...peer.outbox };
    const isChanged = this.isNew || !isSame(place, { filters, limits, as: peer.as });
    this.undo = this.apply(place, { filters, limits });
    if (!place.isDurable || !isChanged) {
      this.bind(place);
      return "done";
    }
    place.isTentative = this.isNew;
    const stored = { name: place.name, as: peer.as, filters: [...place.filters], outbox: limits };
    batch.offers.push({ write: "interest", stored });
    return "commit";
  }

  committed(): void {
    if (this.place !== undefined) this.bind(this.place);
  }

  failed(error: unknown): void {
    this.undo?.();
    this.done({
      error: new NomqError("store-failed", "the attachment's interest was not stored", { cause: error }),
    });
  }

  private apply(place: Place, wanted: { filters: readonly string[]; limits: OutboxLimits }): () => void {
    const { core, peer } = this;
    const before = { filters: [...place.filters], limits: place.outbox.limits, as: place.as };
    setFilters(core, place, wanted.filters);
    place.outbox.limits = wanted.limits;
    place.as = peer.as;
    core.places.set(place.name, place);
    return () => {
      setFilters(core, place, this.isNew ? [] : before.filters);
      place.outbox.limits = before.limits;
      place.as = before.as;
      if (this.isNew) core.places.delete(place.name);
    };
  }

  private bind(place: Place): void {
    const { core, peer } = this;
    place.isTentative = false;
    place.binding = new Binding(peer, this.owner);
    claim(core, place);
    for (const lane of place.outbox.lanes.values()) place.outbox.offer(lane, place.binding.isOrdered);
    // What was lost while it was away, or with the last run, is not known: all of it is owed.
    if (peer.retained === "deliver") {
      core.engine.scan(place, [...place.filters], peer.durable && !this.isNew ? "repair" : "retained");
    }
    for (const channel of place.keptOwed) {
      if (place.wants(channel)) core.engine.owe(place, channel, "repair");
    }
    this.done({ place });
    core.engine.readTail(place);
    core.engine.pump(place);
  }
}

/** Adds and removes filters, in the queue's order. */
export class ChangeStep implements Step {
  readonly bytes = 0;
  private readonly core: Core;
  private readonly place: Place;
  private readonly change: { readonly add?: readonly string[]; readonly remove?: readonly string[] };
  private readonly done: (error?: unknown) => void;
  private before: readonly string[] = [];
  private added: string[] = [];

  constructor(
    core: Core,
    place: Place,
    options: {
      change: { readonly add?: readonly string[]; readonly remove?: readonly string[] };
      done: (error?: unknown) => void;
    },
  ) {
    this.core = core;
    this.place = place;
    this.change = options.change;
    this.done = options.done;
  }

  decide(batch: { offers: Write[] }): "commit" | "done" {
    const { core, place, change } = this;
    this.before = [...place.filters];
    this.added = (change.add ?? []).filter((filter) => !place.filters.has(filter));
    for (const filter of change.remove ?? []) dropFilter(core, place, filter);
    for (const filter of change.add ?? []) addFilter(core, place, filter);
    if (!place.isDurable) {
      this.finish();
      return "done";
    }
    const stored = {
      name: place.name,
      as: place.as,
      filters: [...place.filters],
      outbox: place.outbox.limits,
    };
    batch.offers.push({ write: "interest", stored });
    return "commit";
  }

  committed(): void {
    this.finish();
  }

  failed(error: unknown): void {
    const { core, place } = this;
    setFilters(core, place, this.before);
    // The peer may have let go of what it held under filters that stay in force now.
    const restored = (this.change.remove ?? []).filter((filter) => place.filters.has(filter));
    if (place.binding?.peer.retained === "deliver") core.engine.scan(place, restored, "repair");
    this.done(new NomqError("store-failed", "the filters were not stored", { cause: error }));
  }

  private finish(): void {
    const { core, place } = this;
    if (place.binding?.peer.retained === "deliver") this.oweAdded();
    this.done();
    core.engine.pump(place);
  }

  /** What is retained under the new filters; on channels once unsubscribed an older value may still be under way. */
  private oweAdded(): void {
    const { core, place, added } = this;
    const { lanes, tail } = place.outbox;
    core.engine.scan(place, added, tail.messages > 0 ? "repair" : "retained");
    for (const lane of lanes.values()) {
      if (lane.preparing === 0 && !hasChange(lane)) continue;
      if (added.some((filter) => filterMatches(filter, lane.channel))) {
        core.engine.owe(place, lane.channel, "repair");
      }
    }
  }
}

export function addFilter(core: Core, place: Place, filter: string): void {
  place.filters.add(filter);
  core.routes.add(filter, place);
  // A name somebody subscribes to is known, value or not.
  if (!/[+#]/.test(filter)) core.channels.learn(filter);
}

export function dropFilter(core: Core, place: Place, filter: string): void {
  if (place.filters.delete(filter)) core.routes.remove(filter, place);
}

function setFilters(core: Core, place: Place, filters: readonly string[]): void {
  const wanted = new Set(filters);
  for (const filter of place.filters) if (!wanted.has(filter)) dropFilter(core, place, filter);
  for (const filter of wanted) if (!place.filters.has(filter)) addFilter(core, place, filter);
}

function newPlace(core: Core, peer: Peer): Place {
  const past = core.past.get(peer.name);
  core.past.delete(peer.name);
  return new Place({
    name: peer.name,
    as: peer.as,
    isDurable: peer.durable,
    filters: [],
    limits: DEFAULT_OUTBOX,
    counts: past ?? new Counts(),
    firstOfRun: core.firstSeq,
    idleSince: core.time.monotonic(),
  });
}

function isSame(
  place: Place,
  wanted: { filters: readonly string[]; limits: OutboxLimits; as: string },
): boolean {
  const { limits } = place.outbox;
  if (place.as !== wanted.as || new Set(wanted.filters).size !== place.filters.size) return false;
  if (limits.messages !== wanted.limits.messages || limits.bytes !== wanted.limits.bytes) return false;
  return (
    limits.whenFull === wanted.limits.whenFull && wanted.filters.every((filter) => place.filters.has(filter))
  );
}
