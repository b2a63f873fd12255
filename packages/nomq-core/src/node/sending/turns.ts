import type { Clock } from "../../clock.ts";
import { answered, awaiting, turnAt } from "../../session/pace.ts";
import type { PeerEntry, Turn } from "../peers/peer-entry.ts";

/** Sends that may wait for one device at once; beyond that publishers are told `busy`. */
const MOST_TURNS = 1024;

/**
 * Lets sends to devices out one at a time and at their pace; sends to nodes at once. Answers to what a peer has sent
 * take no turn: they leave before all that waits here.
 */
export interface Turns {
  /** Calls `run` when the peer's turn comes; false when too many wait. */
  take(peer: PeerEntry, turn: Turn): boolean;
  /** The peer has answered, or its transfer has ended: the next send need not wait for that. */
  answered(peer: PeerEntry): void;
  /** Forgets every waiting send of the peer. */
  clear(peer: PeerEntry): void;
}

/** Makes the turns of one node. */
export function createTurns(use: { clock: Clock }): Turns {
  const pump = (peer: PeerEntry): void => {
    while (peer.turnTimer === undefined && peer.turns.length > 0) {
      const now = use.clock.monotonic();
      const at = peer.kind === "node" ? now : turnAt(peer.pace, { now, since: peer.headSince });
      if (at > now) {
        peer.turnTimer = use.clock.after(at - now, () => {
          peer.turnTimer = undefined;
          pump(peer);
        });
        return;
      }
      const next = takeNext(peer.turns);
      peer.headSince = now;
      // The datagrams themselves are counted as they leave.
      const awaitMs = next?.run() ?? 0;
      peer.pace = awaiting(peer.pace, now, awaitMs);
    }
  };
  const again = (peer: PeerEntry): void => {
    peer.turnTimer?.();
    peer.turnTimer = undefined;
    pump(peer);
  };

  return {
    take(peer, turn) {
      // What is kept of each of many nodes costs more than the sending: of a node that nothing waits for, nothing is.
      if (peer.kind === "node" && peer.turns.length === 0) {
        turn.run();
        return true;
      }
      if (peer.turns.length >= MOST_TURNS) return false;
      if (peer.turns.length === 0) peer.headSince = use.clock.monotonic();
      peer.turns.push(turn);
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

/** Takes out the highest priority among the first of each channel. */
function takeNext(turns: Turn[]): Turn | undefined {
  const [first] = turns;
  if (first === undefined || turns.length === 1) return turns.pop();
  const channels = new Set<string>();
  let best = first;
  let place = 0;
  for (const [at, turn] of turns.entries()) {
    if (channels.has(turn.channel)) continue;
    channels.add(turn.channel);
    if (turn.priority <= best.priority) continue;
    best = turn;
    place = at;
  }
  turns.splice(place, 1);
  return best;
}
