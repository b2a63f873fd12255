import { AgedMap, type CancelTimer, type Clock, createWriteBehind, Heap, type StateChange } from "@nomq/core";

/** Where an item lies. */
export interface ItemPlace {
  readonly node: string;
  readonly item: string;
}

/** What taking an item back has come to. */
export type Retracted = "gone" | "again" | "given-up";

/**
 * Items that expire: no server takes them back, so we do, also after a restart. What is planned is written into the
 * hub's state before an event is sent: killed behind that, we would not be handed it again once it has expired. A state's
 * end the hub sees to itself: it is written with the outcome of its message.
 */
export interface Expiries {
  /** What an earlier run wrote down, in the wall time of then; true where the key is one of these. */
  restore(key: Uint8Array, value: Uint8Array, clockSetBy: number): boolean;
  /** Plans an item's end, or, undefined, that it has none; answers how to undo that. */
  plan(of: ItemPlace, expiresInMs: number | undefined): () => void;
  /** Plans an item's end before it is sent; resolves when that is written down, or cannot be. */
  note(of: ItemPlace, expiresInMs: number): Promise<void>;
  /** An item that was noted will not be there. */
  drop(of: ItemPlace): void;
  /** What to write down of the item as it is planned now; empty where nothing has to be. */
  changes(of: ItemPlace): readonly StateChange[];
  /** From now on items are taken back, until {@link pause}. */
  resume(): void;
  pause(): void;
  readonly size: number;
}

/** What they need. */
export interface ExpiriesUse {
  readonly clock: Clock;
  /** Takes one back. Never rejects. */
  readonly retract: (of: ItemPlace) => Promise<Retracted>;
  readonly remember: (changes: readonly StateChange[]) => Promise<void>;
  /** One too many: the one planned first is left to lie. */
  readonly overflow: () => void;
}

/** How long until one that could not be taken back is tried again. */
const AGAIN_MS = 10_000;
/** Retractions under way at once. */
const AT_ONCE = 8;
const MOST = 100_000;
/** As exact as what is written down has to be. */
const SAME_MS = 1_000;

interface Plan extends ItemPlace {
  readonly key: string;
  /** Of the clock that never goes back. */
  readonly due: number;
}

/** Makes it empty and paused. */
export function createExpiries(use: ExpiriesUse): Expiries {
  const { clock } = use;
  const plans = new AgedMap<string, Plan>();
  const byDue = new Heap<Plan>((one, other) => one.due < other.due);
  /** Keys that the store has, or may have, with the wall time of their ends. */
  const written = new Map<string, number>();
  let noted: StateChange[] = [];
  const notes = createWriteBehind({
    write() {
      const batch = noted;
      noted = [];
      return use.remember(batch);
    },
  });
  let isPaused = true;
  let underWay = 0;
  let timer: { readonly due: number; readonly cancel: CancelTimer } | undefined;

  const isCurrent = (plan: Plan): boolean => plans.get(plan.key) === plan;
  const disarm = (): void => {
    timer?.cancel();
    timer = undefined;
  };
  const arm = (due: number): void => {
    if (isPaused || (timer !== undefined && timer.due <= due)) return;
    disarm();
    const cancel = clock.after(Math.max(0, due - clock.monotonic()), () => {
      timer = undefined;
      run();
    });
    timer = { due, cancel };
  };
  const forget = (key: string): void => {
    plans.delete(key);
    if (!written.delete(key)) return;
    noted.push({ key: Buffer.from(key) });
    notes.begin();
  };
  const put = (plan: Plan): void => {
    const oldest = plans.oldest();
    if (!plans.has(plan.key) && plans.size >= MOST && oldest !== undefined) {
      forget(oldest);
      use.overflow();
    }
    plans.set(plan.key, plan);
    if (byDue.size > 64 + 2 * plans.size) byDue.retain(isCurrent);
    byDue.push(plan);
    arm(plan.due);
  };
  const take = async (plan: Plan): Promise<void> => {
    underWay += 1;
    const end = await use.retract(plan);
    underWay -= 1;
    if (isCurrent(plan) && end === "again") put({ ...plan, due: clock.monotonic() + AGAIN_MS });
    else if (isCurrent(plan)) {
      plans.delete(plan.key);
      // What is not forgotten is taken back once more after a restart, and is gone by then.
      if (written.delete(plan.key))
        await use.remember([{ key: Buffer.from(plan.key) }]).catch(() => undefined);
    }
    run();
  };
  const run = (): void => {
    for (let next = byDue.peek(); next !== undefined && !isPaused; next = byDue.peek()) {
      if (isCurrent(next)) {
        if (next.due > clock.monotonic()) {
          arm(next.due);
          return;
        }
        if (underWay >= AT_ONCE) return;
      }
      byDue.pop();
      if (isCurrent(next)) void take(next);
    }
  };

  const expiries: Expiries = {
    restore(key, value, clockSetBy) {
      const known = readKey(key);
      if (known === undefined) return false;
      const left = Number(Buffer.from(value).toString()) + clockSetBy - clock.now();
      written.set(known.key, clock.now() + left);
      put({ ...known, due: clock.monotonic() + (Number.isFinite(left) ? left : 0) });
      return true;
    },
    async note({ node, item }, expiresInMs) {
      const key = keyOf(node, item);
      if (plans.has(key) && written.has(key)) return;
      put({ key, node, item, due: clock.monotonic() + expiresInMs });
      noted.push(...expiries.changes({ node, item }));
      notes.begin();
      // Where the store cannot, the item is worth more than its end.
      await notes.written()?.catch(() => undefined);
    },
    drop: ({ node, item }) => forget(keyOf(node, item)),
    plan({ node, item }, expiresInMs) {
      const key = keyOf(node, item);
      const before = plans.get(key);
      if (expiresInMs === undefined) plans.delete(key);
      else put({ key, node, item, due: clock.monotonic() + expiresInMs });
      const now = plans.get(key);
      return () => {
        if (plans.get(key) !== now) return;
        if (before === undefined) plans.delete(key);
        else put({ ...before });
      };
    },
    changes({ node, item }) {
      const key = keyOf(node, item);
      const plan = plans.get(key);
      if (plan === undefined) return written.delete(key) ? [{ key: Buffer.from(key) }] : [];
      const at = Math.ceil(clock.now() + plan.due - clock.monotonic());
      if (Math.abs(at - (written.get(key) ?? Number.NEGATIVE_INFINITY)) < SAME_MS) return [];
      written.set(key, at);
      return [{ key: Buffer.from(key), value: Buffer.from(String(at)) }];
    },
    resume() {
      isPaused = false;
      run();
    },
    pause() {
      isPaused = true;
      disarm();
    },
    get size() {
      return plans.size;
    },
  };
  return expiries;
}

const keyOf = (node: string, item: string): string => `expiry ${item} ${node}`;

/** Item ids of ours have no spaces; nodes may. */
function readKey(bytes: Uint8Array): Omit<Plan, "due"> | undefined {
  const key = Buffer.from(bytes).toString();
  const [, item, node] = /^expiry (\S+) (.+)$/s.exec(key) ?? [];
  return item === undefined || node === undefined ? undefined : { key, item, node };
}
