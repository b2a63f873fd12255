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
  all(): Iterable<Relation>;
  count(): number;
  countOf(remoteKey: string): number;
  endpoints(): number;
}

/** Whether a principal is one peer and not an address or anybody (docs/access.md). */
const isOnePeer = (who: Principal): boolean => who.startsWith("coap:") || who.startsWith("cert:");

/** Makes an empty one. */
export function createRoster(): Roster {
  // Nearly every endpoint has one relation, none has many: a list costs a quarter of a map.
  const byEndpoint = new Map<string, Relation[]>();
  const byPeer = new Map<Principal, Set<Relation>>();
  let count = 0;
  return {
    find(remoteKey, token) {
      const key = tokenKey(token);
      return byEndpoint.get(remoteKey)?.find((relation) => relation.tokenKey === key);
    },
    add(relation) {
      count += 1;
      const mine = byEndpoint.get(relation.remoteKey);
      if (mine === undefined) byEndpoint.set(relation.remoteKey, [relation]);
      else mine.push(relation);
      if (!isOnePeer(relation.as)) return;
      byPeer.set(relation.as, (byPeer.get(relation.as) ?? new Set()).add(relation));
    },
    remove(relation) {
      const mine = byEndpoint.get(relation.remoteKey) ?? [];
      const at = mine.indexOf(relation);
      if (at === -1) return false;
      count -= 1;
      if (mine.length === 1) byEndpoint.delete(relation.remoteKey);
      else mine.splice(at, 1);
      const peers = byPeer.get(relation.as);
      peers?.delete(relation);
      if (peers?.size === 0) byPeer.delete(relation.as);
      return true;
    },
    of: (remoteKey) => [...(byEndpoint.get(remoteKey) ?? [])],
    movedFrom: ({ as, channel, remoteKey }) =>
      [...(byPeer.get(as) ?? [])].filter(
        (other) => other.channel === channel && other.remoteKey !== remoteKey,
      ),
    *all() {
      for (const mine of byEndpoint.values()) yield* mine;
    },
    count: () => count,
    countOf: (remoteKey) => byEndpoint.get(remoteKey)?.length ?? 0,
    endpoints: () => byEndpoint.size,
  };
}
