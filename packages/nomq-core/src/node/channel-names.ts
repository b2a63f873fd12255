import { isValidChannel } from "../message.ts";
import { channelId, channelKey } from "../packet/channel-id.ts";

/** The names of channels by their hash, which is all that most packets carry. */
export interface ChannelNames {
  /** Makes a name known. False when it is no channel name or the table is full. */
  learn(name: string): boolean;
  /** The name with that id. */
  find(id: Uint8Array): string | undefined;
  /** The id of a name, computed once for names that are known. */
  idOf(name: string): Uint8Array;
}

/** Makes a table of at most `limit` names; names stay, since a forgotten one would lose messages. */
export function createChannelNames(limit: number): ChannelNames {
  const byHash = new Map<string, string>();
  const ids = new Map<string, Uint8Array>();
  // Devices can publish on the empty name: it is known so that the refusal is the hub's, not "unknown".
  byHash.set(channelKey(channelId("")), "");

  return {
    learn(name) {
      if (ids.has(name)) return true;
      if (!isValidChannel(name) || ids.size >= limit) return false;
      const id = channelId(name);
      ids.set(name, id);
      byHash.set(channelKey(id), name);
      return true;
    },
    find: (id) => byHash.get(channelKey(id)),
    idOf: (name) => ids.get(name) ?? channelId(name),
  };
}
