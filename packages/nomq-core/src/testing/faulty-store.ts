import { NomqError } from "../errors.ts";
import type { Batch, Store } from "../hub/store.ts";

/** Which calls a fault strikes. */
export type FaultScope = "commits" | "everything";

/** A store that can be made to hang, to fail and to die. */
export interface FaultyStore extends Store {
  /** Calls from now on neither settle nor take effect until `heal` or `fail`. Default `commits`. */
  hang(scope?: FaultScope): void;
  /** Calls from now on, and those that hang, reject and change nothing until `heal`. Default `commits`. */
  fail(scope?: FaultScope): void;
  /** What hangs goes through, and all works again. */
  heal(): void;
  /**
   * Kills the process at this moment, as far as the store knows: this object never answers again, and the returned
   * one opens the same contents. `last` says whether the commit that is open, if any, reached the disk.
   */
  crash(last: "in" | "out"): FaultyStore;
  /** Batches committed so far through this object. */
  readonly commits: number;
}

type Mode = "well" | "hanging" | "failing";
interface Waiter {
  readonly scope: FaultScope;
  go(): void;
  stop(cause: Error): void;
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const failure = (): Error => new NomqError("store-failed", "the faulty store was told to fail");

/**
 * Wraps a store that keeps its contents when opened again (the memory store, or a durable one). A commit takes at
 * least one turn of the event loop, so that other things can happen while it is open.
 */
export function createFaultyStore(inner: Store): FaultyStore {
  return wrap(inner, Promise.resolve());
}

function wrap(inner: Store, before: Promise<void>): FaultyStore {
  let mode: Mode = "well";
  let scope: FaultScope = "commits";
  let dead = false;
  let commits = 0;
  let open: Batch | undefined;
  let waiters: Waiter[] = [];

  const struck = (call: FaultScope): boolean => call === "commits" || scope === "everything";
  /** Resolves when the call may go on, rejects when it must fail; never after a crash. */
  const pass = (call: FaultScope): Promise<void> => {
    if (dead) return never();
    if (mode === "well" || !struck(call)) return Promise.resolve();
    if (mode === "failing") return Promise.reject(failure());
    return new Promise((go, stop) => waiters.push({ scope: call, go, stop }));
  };
  const become = (next: Mode, to: FaultScope): void => {
    if (dead) return;
    mode = next;
    scope = to;
    const free = waiters.filter((waiter) => next !== "hanging" || !struck(waiter.scope));
    waiters = waiters.filter((waiter) => !free.includes(waiter));
    for (const waiter of free) {
      if (next === "failing" && struck(waiter.scope)) waiter.stop(failure());
      else waiter.go();
    }
  };
  const read = async <T>(call: () => Promise<T>): Promise<T> => {
    await pass("everything");
    const value = await call();
    return dead ? await never<T>() : value;
  };
  async function* each<T>(items: () => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    await pass("everything");
    for await (const item of items()) yield dead ? await never<T>() : item;
  }
  const commit = async (batch: Batch): Promise<void> => {
    open = batch;
    await turn();
    try {
      await pass("commits");
    } catch (cause) {
      open = undefined;
      throw cause;
    }
    if (dead) return never();
    open = undefined;
    await inner.commit(batch);
    commits += 1;
    if (dead) return never();
  };

  return {
    get commits() {
      return commits;
    },
    hang: (what = "commits") => become("hanging", what),
    fail: (what = "commits") => become("failing", what),
    heal: () => become("well", "commits"),
    crash(last) {
      dead = true;
      waiters = [];
      const cut = open;
      open = undefined;
      return wrap(inner, cut !== undefined && last === "in" ? inner.commit(cut) : Promise.resolve());
    },
    open: () => read(() => before.then(() => inner.open())),
    commit,
    waiting: (...wanted) => read(() => inner.waiting(...wanted)),
    retained: (...wanted) => read(() => inner.retained(...wanted)),
    latest: (channel) => read(() => inner.latest(channel)),
    receipt: (id) => read(() => inner.receipt(id)),
    history: (channel, range) => each(() => inner.history(channel, range)),
    clockWasSet: (steps) => {
      if (!dead) inner.clockWasSet?.(steps);
    },
    state: (owner) => each(() => inner.state(owner)),
    [Symbol.asyncDispose]: () => (dead ? Promise.resolve() : inner[Symbol.asyncDispose]()),
  };
}
