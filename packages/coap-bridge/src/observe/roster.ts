import type { Principal } from "@nomq/core";
import { type Relation, tokenKey } from "./relation.ts";

/** Every relation, by endpoint and token and by who is behind it. */
export interface Roster {
  find(remoteKey: string, token: Uint8Array): Relation | undefined;
  add(relation: Relation): void;
  /** False where it was not there any more. */
  remove(relation: Relation): boolean;
  /** All of one endpoint. */
  of(remoteKey: string): readonly Relation[];
  /** Those of the same peer on the same channel from other endpoints: it has moved. Only who has an identity is known. */
  movedFrom(relation: Relation): readonly Relation[];
  all(): IterableIterator<Relation>;
  count(): number;
  countOf(remoteKey: string): number;
  endpoints(): number;
}

/** Whether a principal is one peer and not an address or anybody (docs/access.md). */
const isOnePeer = (who: Principal): boolean => who.startsWith("coap:") || who.startsWith("cert:");

/** Makes an empty one. */
export function createRoster(): Roster {
  const byEndpoint = new Map<string, Map<string, Relation>>();
  const byPeer = new Map<Principal, Set<Relation>>();
  const relations = new Set<Relation>();
  return {
    find: (remoteKey, token) => byEndpoint.get(remoteKey)?.get(tokenKey(token)),
    add(relation) {
      relations.add(relation);
      const mine = byEndpoint.get(relation.remoteKey) ?? new Map<string, Relation>();
      byEndpoint.set(relation.remoteKey, mine.set(relation.tokenKey, relation));
      if (!isOnePeer(relation.as)) return;
      byPeer.set(relation.as, (byPeer.get(relation.as) ?? new Set()).add(relation));
    },
    remove(relation) {
      if (!relations.delete(relation)) return false;
      const mine = byEndpoint.get(relation.remoteKey);
      mine?.delete(relation.tokenKey);
      if (mine?.size === 0) byEndpoint.delete(relation.remoteKey);
      const peers = byPeer.get(relation.as);
      peers?.delete(relation);
      if (peers?.size === 0) byPeer.delete(relation.as);
      return true;
    },
    of: (remoteKey) => [...(byEndpoint.get(remoteKey)?.values() ?? [])],
    movedFrom: ({ as, channel, remoteKey }) =>
      [...(byPeer.get(as) ?? [])].filter(
        (other) => other.channel === channel && other.remoteKey !== remoteKey,
      ),
    all: () => relations.values(),
    count: () => relations.size,
    countOf: (remoteKey) => byEndpoint.get(remoteKey)?.size ?? 0,
    endpoints: () => byEndpoint.size,
  };
}
