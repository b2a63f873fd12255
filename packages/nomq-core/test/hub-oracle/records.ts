import type { FinalOutcome, Qos, Receipt } from "@nomq/core";
import { naiveMatch } from "./naive-match.ts";

/** One call of publish, as the publisher knows it. */
export interface Publish {
  /** Also its payload, unless it clears or echoes. */
  readonly number: number;
  readonly channel: string;
  readonly payload: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly ttlMs: number | undefined;
  /** Monotonic time of the call. */
  readonly at: number;
  /** How far small steps of the wall clock may have moved its expiry. */
  readonly stepsBefore: number;
  readonly from: string | undefined;
  readonly once: string | undefined;
  /** The process it happened in. */
  readonly run: number;
  receipt: Receipt | undefined;
  /** The process died, or it failed, before a receipt came. */
  lost: boolean;
  /** Its expected recipients have been compared with its receipt. */
  compared: boolean;
  /** Who must and who may get it, once its place in the order is reached. */
  must: ReadonlyMap<string, Interest> | undefined;
  may: ReadonlySet<string> | undefined;
  /** A crash may have undone what its receipt said. */
  isStale: boolean;
  /** Outcomes known to be final. */
  readonly finals: Map<string, FinalOutcome>;
  /** Who was about to go at the call. */
  leavers: readonly Interest[];
  /** Calls of the same transfer before this one that were never answered. */
  readonly earlier: Publish[];
}

/** What one peer wants to get, as the hub promised. */
export interface Interest {
  readonly name: string;
  readonly durable: boolean;
  filters: ReadonlySet<string>;
  /** A volatile peer that is leaving, or a name being forgotten: the hub may still route to it, or not. */
  leaving: boolean;
  /** Its interest has ended. */
  ended: boolean;
}

type Done = "pending" | "done" | "failed" | "lost";

/** What changes interest, or asks for it, in the order of the calls. */
export type Operation =
  | {
      readonly what: "attach";
      readonly name: string;
      readonly durable: boolean;
      readonly filters?: readonly string[];
      is: Done;
    }
  | {
      readonly what: "change";
      readonly name: string;
      readonly add: string;
      readonly remove: string;
      is: Done;
    }
  | { readonly what: "leave" | "forget"; readonly name: string; is: Done }
  | { readonly what: "publish"; readonly publish: Publish; is: Done };

/** Interest as the sequence of calls makes it, without the hub's code. */
export interface Model {
  readonly interest: ReadonlyMap<string, Interest>;
  add(operation: Operation): void;
  /** A volatile peer, or a name to be forgotten, begins to go: until it has gone, what it gets is open. */
  leave(name: string): void;
  /** Goes on in the order of the calls as far as the calls have ended. */
  settle(): void;
  /** The process died: calls without an answer may have counted or not. */
  crash(): void;
  /** States that the interest of a name may be in after a crash; undefined = none. */
  possible(name: string): readonly (ReadonlySet<string> | undefined)[];
  /** Takes over what the hub says after a crash. */
  adopt(found: ReadonlyMap<string, ReadonlySet<string>>): void;
}

/** Nothing to commit, so it waits for nobody's commit. */
export const leavesNothing = (publish: Publish): boolean =>
  !publish.retain && (publish.qos === 0 || publish.ttlMs === 0);

/** Makes an empty model. */
export function createModel(): Model {
  const interest = new Map<string, Interest>();
  let queue: Operation[] = [];
  let unsure: Operation[] = [];
  /** Forgetting failed: the hub keeps the fact, and it may be written any time. */
  const doubted = new Set<string>();
  /** Names that began to go before the model had reached their attach. */
  const going = new Set<string>();

  const changed = (had: ReadonlySet<string> | undefined, operation: Operation) => {
    if (operation.what === "attach") return new Set(operation.filters ?? had ?? []);
    if (operation.what === "forget") return undefined;
    if (operation.what !== "change" || had === undefined) return had;
    // A filter both added and removed stays: removal comes first.
    const next = new Set(had);
    next.delete(operation.remove);
    return next.add(operation.add);
  };
  const end = (name: string): void => {
    const own = interest.get(name);
    if (own !== undefined) own.ended = true;
    interest.delete(name);
  };
  const apply = (operation: Exclude<Operation, { what: "publish" }>): void => {
    const own = interest.get(operation.name);
    if (operation.what === "leave" || operation.what === "forget") going.delete(operation.name);
    if (operation.what === "forget") end(operation.name);
    else if (operation.what === "leave") {
      if (own?.durable === false) end(operation.name);
    } else if (operation.what === "attach") {
      const filters = changed(own?.filters, operation) ?? new Set();
      if (own?.durable === true) own.filters = filters;
      else {
        end(operation.name);
        const { name, durable } = operation;
        interest.set(name, { name, durable, filters, leaving: going.has(name), ended: false });
      }
    } else if (own !== undefined) own.filters = changed(own.filters, operation) ?? own.filters;
  };
  const expect = (publish: Publish): void => {
    const must = new Map<string, Interest>();
    const may = new Set<string>();
    for (const own of interest.values()) {
      if (own.name === publish.from) continue;
      if (![...own.filters].some((filter) => naiveMatch(filter, publish.channel))) continue;
      if (own.leaving) may.add(own.name);
      else must.set(own.name, own);
    }
    for (const own of publish.leavers) {
      if (![...own.filters].some((one) => naiveMatch(one, publish.channel))) continue;
      must.delete(own.name);
      if (own.name !== publish.from) may.add(own.name);
    }
    publish.must = must;
    publish.may = may;
  };
  const leavers = (): Interest[] => [...interest.values()].filter((own) => own.leaving);
  /** QoS 0 flows while changes wait for the store: who gets it while one is under way is open. */
  const expectAtOnce = (publish: Publish): void => {
    expect(publish);
    const must = new Map(publish.must);
    const may = new Set(publish.may);
    for (const operation of queue) {
      if (operation.what === "publish" || operation.name === publish.from) continue;
      may.add(operation.name);
      must.delete(operation.name);
    }
    publish.must = must;
    publish.may = may;
  };

  return {
    interest,
    add(operation) {
      if (operation.what === "publish" && leavesNothing(operation.publish)) {
        expectAtOnce(operation.publish);
        return;
      }
      // What still goes when the call is made is not known to be gone when its turn comes.
      if (operation.what === "publish") operation.publish.leavers = leavers();
      queue.push(operation);
    },
    leave(name) {
      const own = interest.get(name);
      if (own?.durable === true) doubted.add(name);
      if (own !== undefined) own.leaving = true;
      else going.add(name);
    },
    settle() {
      let at = 0;
      for (; at < queue.length; at += 1) {
        const operation = queue[at];
        if (operation === undefined) break;
        if (operation.what === "publish") {
          expect(operation.publish);
          continue;
        }
        if (operation.is === "pending") break;
        if (operation.is === "done") apply(operation);
        else if (operation.is === "failed" && operation.what === "forget") doubted.add(operation.name);
      }
      queue = queue.slice(at);
    },
    crash() {
      // Calls before them had no answer yet: they may have been routed to whom these named.
      for (const operation of queue) if (operation.what === "publish") expectAtOnce(operation.publish);
      going.clear();
      unsure = queue.filter((operation) => operation.what !== "publish");
      queue = [];
      for (const own of interest.values()) if (!own.durable) end(own.name);
    },
    possible(name) {
      let now = interest.get(name)?.filters;
      const states: (ReadonlySet<string> | undefined)[] = doubted.has(name) ? [now, undefined] : [now];
      for (const operation of unsure) {
        if (operation.what === "publish" || operation.name !== name || operation.is === "failed") continue;
        now = changed(now, operation);
        states.push(now);
      }
      return states;
    },
    adopt(found) {
      unsure = [];
      doubted.clear();
      for (const own of [...interest.values()]) if (!found.has(own.name)) end(own.name);
      for (const [name, filters] of found) {
        const own = interest.get(name);
        if (own !== undefined) {
          own.filters = filters;
          own.leaving = false;
        } else interest.set(name, { name, durable: true, filters, leaving: false, ended: false });
      }
    },
  };
}
