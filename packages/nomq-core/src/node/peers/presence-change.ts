import type { NomqPeer } from "./nomq-peer.ts";

/**
 * Why a peer counts as it does.
 *
 * - online: `heard` a packet of it; `answered` a heartbeat.
 * - offline: `never-heard` in this run; `silent`: it left a heartbeat or a message unanswered, or nothing came for the
 *   session timeout; `left`: a node that has ended its subscriptions; `replaced`: another peer has its place in a full
 *   table; `stopped`: this node has.
 */
export type PresenceReason =
  | "heard"
  | "answered"
  | "never-heard"
  | "silent"
  | "left"
  | "replaced"
  | "stopped";

/** A peer is there, or is not any more. */
export interface PresenceChange {
  readonly peer: NomqPeer;
  readonly state: "online" | "offline";
  readonly reason: PresenceReason;
  /** Unix milliseconds. */
  readonly at: number;
}

/** What of a peer's state is kept with it. */
export type KeptPresence = Omit<PresenceChange, "peer">;
