import type { Clock } from "../clock.ts";
import { answered, awaiting, turnAt } from "../session/pace.ts";
import type { PeerEntry } from "./peer-table.ts";

/** Sends that may wait for one device at once; beyond that publishers are told `busy`. */
const MOST_TURNS = 1024;

/** Lets sends to devices out one at a time and at their pace, in order; sends to nodes at once. */
export interface Turns {
  /** Calls `run` when the peer's turn comes; false when too many wait. `run` returns how long to await an answer. */
  take(peer: PeerEntry, run: () => number): boolean;
  /** The peer has answered, or its transfer has ended: the next send need not wait for that. */
  answered(peer: PeerEntry): void;
  /** Forgets every waiting send of the peer. */
  clear(peer: PeerEntry): void;
}

/** Makes the turns of one node. */
export function createTurns(use: { clock: Clock }): Turns {
  const pump = (peer: PeerEntry): void => {
    while (peer.turnTimer === undefined) {
      const [run] = peer.turns;
      if (run === undefined) return;
      const now = use.clock.monotonic();
      const at = peer.kind === "node" ? now : turnAt(peer.pace, { now, since: peer.headSince });
      if (at > now) {
        peer.turnTimer = use.clock.after(at - now, () => {
          peer.turnTimer = undefined;
          pump(peer);
        });
        return;
      }
      peer.turns.shift();
      peer.headSince = now;
      // The datagrams themselves are counted as they leave.
      const awaitMs = run();
      peer.pace = awaiting(peer.pace, now, awaitMs);
    }
  };
  const again = (peer: PeerEntry): void => {
    peer.turnTimer?.();
    peer.turnTimer = undefined;
    pump(peer);
  };

  return {
    take(peer, run) {
      if (peer.turns.length >= MOST_TURNS) return false;
      if (peer.turns.length === 0) peer.headSince = use.clock.monotonic();
      peer.turns.push(run);
      pump(peer);
      return true;
    },
    answered(peer) {
      peer.pace = answered(peer.pace);
      if (peer.turns.length > 0) again(peer);
    },
    clear(peer) {
      peer.turns.length = 0;
      peer.turnTimer?.();
      peer.turnTimer = undefined;
    },
  };
}
