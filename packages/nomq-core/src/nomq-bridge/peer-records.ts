import { addressText } from "../address.ts";
import type { NomqPeer, PresenceChange } from "../node/contract.ts";
import type { SessionEntry } from "../session-log.ts";

/** What the session log says of a peer that comes or goes. */
export function presenceEntry({ peer, state, reason }: PresenceChange): SessionEntry {
  return { who: `nomq:${peer.key}`, what: `peer.${state}`, details: { ...detailsOf(peer), reason } };
}

/** What it says of a peer's new session, which may be another's: the key is all that is known for sure. */
export function sessionEntry(peer: NomqPeer): SessionEntry {
  return { who: `nomq:${peer.key}`, what: "session.begun", details: detailsOf(peer) };
}

/** What it says of a SUBSCRIBE that adds a channel, or an UNSUBSCRIBE that takes one away. */
export function subscriptionEntry(
  peer: NomqPeer,
  what: "subscription.added" | "subscription.removed",
  channel: string,
): SessionEntry {
  return { who: `nomq:${peer.key}`, what, details: { peer: peer.id, filter: channel } };
}

function detailsOf({ id, known, kind, address }: NomqPeer): Record<string, string | boolean> {
  return { peer: id, address: addressText(address), kind, known };
}
