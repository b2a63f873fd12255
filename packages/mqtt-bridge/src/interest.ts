import type { Attachment } from "@nomq/core";

/** The filters that sessions hold together: what the hub must send to the broker. */
export interface Interest {
  /** The client wants the filter; resolves when it is in force at the hub. */
  hold(client: string, filter: string): Promise<void>;
  /** The client no longer wants these filters; absent = any. */
  drop(client: string, filters?: readonly string[]): void;
}

interface Wish {
  readonly filter: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Keeps the attachment's filters equal to what is held, one change at a time. */
export function createInterest(attachment: Pick<Attachment, "change">): Interest {
  const holders = new Map<string, Set<string>>();
  const held = new Map<string, Set<string>>();
  const inForce = new Set<string>();
  let wishes: Wish[] = [];
  const surplus = new Set<string>();
  let isChanging = false;

  const changeOnce = async (): Promise<void> => {
    const due = wishes;
    wishes = [];
    const add = [...new Set(due.map(({ filter }) => filter))].filter((filter) => !inForce.has(filter));
    const remove = [...surplus].filter((filter) => !holders.has(filter) && inForce.has(filter));
    surplus.clear();
    try {
      if (add.length > 0 || remove.length > 0) await attachment.change({ add, remove });
      for (const filter of add) inForce.add(filter);
      for (const filter of remove) inForce.delete(filter);
      // Someone may have let go meanwhile.
      for (const filter of add) if (!holders.has(filter)) surplus.add(filter);
      for (const { resolve } of due) resolve();
    } catch (error) {
      for (const { reject } of due) reject(error);
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

  return {
    hold(client, filter) {
      const clients = holders.get(filter) ?? new Set();
      holders.set(filter, clients.add(client));
      const filters = held.get(client) ?? new Set();
      held.set(client, filters.add(filter));
      if (inForce.has(filter) && !surplus.has(filter) && !isChanging) return Promise.resolve();
      const inPlace = new Promise<void>((resolve, reject) => wishes.push({ filter, resolve, reject }));
      void change();
      return inPlace;
    },
    drop(client, filters) {
      const mine = held.get(client);
      if (mine === undefined) return;
      for (const filter of filters ?? [...mine]) if (mine.delete(filter)) release(client, filter);
      if (mine.size === 0) held.delete(client);
      if (surplus.size > 0) void change();
    },
  };
}
