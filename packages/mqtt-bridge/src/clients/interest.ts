import { type Attachment, NomqError } from "@nomq/core";
import { type Held, levelsOf } from "../front/subscriptions.ts";

/** The filters that sessions hold together: what the hub must send to the broker. */
export interface Interest {
  /** The client wants the filter; resolves when it is in force at the hub. */
  hold(client: string, filter: string): Promise<void>;
  /** The client no longer wants these filters; absent = any. */
  drop(client: string, filters?: readonly string[]): void;
  /** What a client holds or has asked for: filters, and the levels of all of them, which is what they cost. */
  heldBy(client: string): Held;
  /** Whether the client may have the filter besides so much that is asked for: it has it already, or all have few. */
  hasRoomFor(client: string, filter: string, asked?: Held): boolean;
}

interface Wish {
  readonly filter: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What an interest begins with. */
export interface InterestOptions {
  /** What the attachment has already. */
  readonly restored?: Iterable<readonly [client: string, filters: readonly string[]]>;
  /** Filters of all clients together, each as often as it is held. Default: any number. */
  readonly most?: number;
}

/** Levels of a filter, on average over all: what it costs. */
const USUAL_LEVELS = 10;

/** Keeps the attachment's filters equal to what is held, one change at a time. */
export function createInterest(
  attachment: Pick<Attachment, "change">,
  { restored = [], most = Number.POSITIVE_INFINITY }: InterestOptions = {},
): Interest {
  const holders = new Map<string, Set<string>>();
  const held = new Map<string, { readonly filters: Set<string>; levels: number }>();
  const inForce = new Set<string>();
  let wishes: Wish[] = [];
  const surplus = new Set<string>();
  let isChanging = false;
  const all = { filters: 0, levels: 0 };

  const changeOnce = async (): Promise<void> => {
    const due = wishes;
    wishes = [];
    const add = [...new Set(due.map(({ filter }) => filter))].filter((filter) => !inForce.has(filter));
    const remove = [...surplus].filter((filter) => !holders.has(filter) && inForce.has(filter));
    surplus.clear();
    try {
      await apply(add, remove);
    } catch (error) {
      // What one client asks for must not cost another its subscription.
      const isOneBad = error instanceof NomqError && error.code === "filter-invalid";
      if (isOneBad && add.length > 1) await oneByOne(due, remove);
      else for (const { reject } of due) reject(error);
      return;
    }
    for (const { resolve } of due) resolve();
  };
  const apply = async (add: readonly string[], remove: readonly string[]): Promise<void> => {
    if (add.length > 0 || remove.length > 0) await attachment.change({ add, remove });
    for (const filter of add) inForce.add(filter);
    for (const filter of remove) inForce.delete(filter);
    // Someone may have let go meanwhile.
    for (const filter of add) if (!holders.has(filter)) surplus.add(filter);
  };
  const oneByOne = async (due: readonly Wish[], remove: readonly string[]): Promise<void> => {
    // A removal that fails leaves messages that nobody takes, and no more.
    await apply([], remove).catch(() => undefined);
    for (const { filter, resolve, reject } of due) {
      await apply(inForce.has(filter) ? [] : [filter], []).then(resolve, reject);
    }
  };
  const change = async (): Promise<void> => {
    if (isChanging) return;
    isChanging = true;
    // A turn of the event loop gathers what came with the same packet.
    await new Promise((resolve) => setImmediate(resolve));
    while (wishes.length > 0 || surplus.size > 0) await changeOnce();
    isChanging = false;
  };
  const release = (client: string, filter: string): void => {
    const clients = holders.get(filter);
    if (clients?.delete(client) !== true) return;
    if (clients.size > 0) return;
    holders.delete(filter);
    surplus.add(filter);
  };

  const add = (client: string, filter: string): void => {
    const clients = holders.get(filter) ?? new Set();
    holders.set(filter, clients.add(client));
    const mine = held.get(client) ?? { filters: new Set(), levels: 0 };
    held.set(client, mine);
    if (mine.filters.has(filter)) return;
    mine.filters.add(filter);
    const levels = levelsOf(filter);
    mine.levels += levels;
    all.filters += 1;
    all.levels += levels;
  };
  for (const [client, filters] of restored) {
    for (const filter of filters) {
      add(client, filter);
      inForce.add(filter);
    }
  }

  return {
    hold(client, filter) {
      add(client, filter);
      if (inForce.has(filter) && !surplus.has(filter) && !isChanging) return Promise.resolve();
      const inPlace = new Promise<void>((resolve, reject) => wishes.push({ filter, resolve, reject }));
      void change();
      return inPlace;
    },
    drop(client, filters) {
      const mine = held.get(client);
      if (mine === undefined) return;
      for (const filter of filters ?? [...mine.filters]) {
        if (!mine.filters.delete(filter)) continue;
        const levels = levelsOf(filter);
        mine.levels -= levels;
        all.filters -= 1;
        all.levels -= levels;
        release(client, filter);
      }
      if (mine.filters.size === 0) held.delete(client);
      if (surplus.size > 0) void change();
    },
    heldBy(client) {
      const mine = held.get(client);
      return { filters: mine?.filters.size ?? 0, levels: mine?.levels ?? 0 };
    },
    hasRoomFor(client, filter, asked = { filters: 0, levels: 0 }) {
      if (held.get(client)?.filters.has(filter) === true) return true;
      if (all.filters + asked.filters >= most) return false;
      return all.levels + asked.levels + levelsOf(filter) <= most * USUAL_LEVELS;
    },
  };
}
