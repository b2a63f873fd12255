import type { Port } from "@nomq/core";

/** Names of channels in the order the hub learned them; a place in it never changes what it says. */
export interface ChannelNames {
  /** Reads on until the hub closes or `stop` is called. */
  start(port: Pick<Port, "channels">): void;
  /** One behind the last place. */
  end(): number;
  /** The first place that is still held: as many as the hub holds. */
  begin(): number;
  /** The name at a place; undefined: none, or no longer held. */
  at(place: number): string | undefined;
  stop(): void;
}

/** Makes an empty list of at most `most` names, the oldest of which go first as they do in the hub. */
export function createChannelNames(most = 200_000): ChannelNames {
  let names: string[] = [];
  // The hub tells a name again that it had forgotten.
  const held = new Set<string>();
  let before = 0;
  let dropped = 0;
  const stopping = new AbortController();

  const add = (name: string): void => {
    if (held.has(name)) return;
    held.add(name);
    names.push(name);
    if (names.length - dropped <= most) return;
    held.delete(names[dropped] ?? "");
    dropped += 1;
    // Moving the rest up is worth it only now and then.
    if (dropped < most / 2) return;
    names = names.slice(dropped);
    before += dropped;
    dropped = 0;
  };
  const follow = async (port: Pick<Port, "channels">): Promise<void> => {
    for await (const name of port.channels("#", { signal: stopping.signal })) add(name);
  };
  return {
    start(port) {
      // Ends without an error when the hub closes; a hub that is closed already has no names.
      follow(port).catch(() => {});
    },
    begin: () => before + dropped,
    end: () => before + names.length,
    at: (place) => (place < before + dropped ? undefined : names[place - before]),
    stop: () => stopping.abort(),
  };
}
