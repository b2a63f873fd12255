import { type Attachment, NomqError } from "@nomq/core";

/** The channels that somebody observes, as filters of the one attachment. */
export interface Interest {
  /** Resolves when the hub sends the channel; rejects when it will not. */
  hold(channel: string): Promise<void>;
  /** Nobody observes it any more. */
  release(channel: string): void;
}

interface Waiting {
  readonly channel: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Keeps the attachment's filters equal to what is held, one change at a time. `inForce`: what it has already. */
export function createInterest(
  attachment: Pick<Attachment, "change">,
  inForce: Iterable<string> = [],
): Interest {
  const has = new Set(inForce);
  const wanted = new Set(has);
  const touched = new Set<string>();
  let waiting: Waiting[] = [];
  let isChanging = false;

  const apply = async (add: readonly string[], remove: readonly string[]): Promise<void> => {
    if (add.length > 0 || remove.length > 0) await attachment.change({ add, remove });
    for (const channel of add) has.add(channel);
    for (const channel of remove) has.delete(channel);
  };
  const applyOneByOne = async (due: readonly Waiting[]): Promise<void> => {
    for (const { channel, resolve, reject } of due) {
      await apply(has.has(channel) ? [] : [channel], []).then(resolve, reject);
    }
  };
  const changeOnce = async (): Promise<void> => {
    const due = waiting;
    waiting = [];
    const changed = [...touched];
    touched.clear();
    const add = changed.filter((channel) => wanted.has(channel) && !has.has(channel));
    const remove = changed.filter((channel) => !wanted.has(channel) && has.has(channel));
    try {
      await apply(add, remove);
    } catch (error) {
      // One channel that is no filter (too many levels) must not cost another its observers.
      if (error instanceof NomqError && error.code === "filter-invalid") return applyOneByOne(due);
      for (const { reject } of due) reject(error);
      return;
    }
    for (const { resolve } of due) resolve();
  };
  const change = async (): Promise<void> => {
    if (isChanging) return;
    isChanging = true;
    // A turn of the event loop gathers what came together.
    await new Promise((resolve) => setImmediate(resolve));
    while (touched.size > 0 || waiting.length > 0) await changeOnce();
    isChanging = false;
  };

  return {
    hold(channel) {
      wanted.add(channel);
      if (has.has(channel) && !touched.has(channel) && !isChanging) return Promise.resolve();
      touched.add(channel);
      const inPlace = new Promise<void>((resolve, reject) => waiting.push({ channel, resolve, reject }));
      void change();
      return inPlace;
    },
    release(channel) {
      if (!wanted.delete(channel)) return;
      touched.add(channel);
      void change();
    },
  };
}
