/** Leaves; calling it twice does nothing more. */
export type Leave = () => void;

interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

interface Door {
  inside: number;
  alone: boolean;
  readonly waiting: Waiting[];
}

/**
 * A lock for each channel, shared or exclusive: writers of one channel go together, or one alone that must see what all
 * before it have written, as a conditional PUT does. First come, first served, so that nobody waits for ever.
 */
export interface ChannelLocks {
  /** Undefined: it must wait, use {@link wait}. */
  enter(channel: string, alone: boolean): Leave | undefined;
  wait(channel: string, alone: boolean): Promise<Leave>;
}

/** Makes them; it holds nothing for channels nobody writes to, but for the one that was written to last. */
export function createChannelLocks(): ChannelLocks {
  const doors = new Map<string, Door>();
  // Writes mostly come one by one: a map that empties after each is made anew each time.
  let last: { readonly channel: string; readonly door: Door } | undefined;
  const rest = (channel: string, door: Door): void => {
    if (last?.door === door) return;
    if (last?.door.inside === 0) doors.delete(last.channel);
    last = { channel, door };
  };
  const isFree = (door: Door, alone: boolean): boolean =>
    door.waiting.length === 0 && !door.alone && (!alone || door.inside === 0);
  const admit = (door: Door, alone: boolean): void => {
    door.inside += 1;
    door.alone = alone;
  };
  const leaving = (channel: string, door: Door): Leave => {
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      door.inside -= 1;
      if (door.inside === 0) door.alone = false;
      for (let next = door.waiting[0]; next !== undefined; next = door.waiting[0]) {
        if (door.alone || (next.alone && door.inside > 0)) return;
        door.waiting.shift();
        admit(door, next.alone);
        next.enter();
      }
      if (door.inside === 0) rest(channel, door);
    };
  };
  const doorOf = (channel: string): Door => {
    const known = doors.get(channel);
    if (known !== undefined) return known;
    const door: Door = { inside: 0, alone: false, waiting: [] };
    doors.set(channel, door);
    return door;
  };

  return {
    enter(channel, alone) {
      const door = doorOf(channel);
      if (!isFree(door, alone)) return undefined;
      admit(door, alone);
      return leaving(channel, door);
    },
    wait(channel, alone) {
      const door = doorOf(channel);
      const leave = leaving(channel, door);
      if (isFree(door, alone)) {
        admit(door, alone);
        return Promise.resolve(leave);
      }
      return new Promise((resolve) => door.waiting.push({ alone, enter: () => resolve(leave) }));
    },
  };
}
