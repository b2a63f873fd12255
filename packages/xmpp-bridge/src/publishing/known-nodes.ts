import { AgedMap } from "@nomq/core";
import type { ReadyNode } from "../nodes/nodes.ts";

/** Channels of which it is known whether a state lies on their node. */
const MOST = 100_000;

/**
 * What lies on our nodes, as far as we have put it there: where the state is, and how many items have come after it. The
 * hub sends all state anew at each start, before any event of its channel, so what is not known here is not there.
 */
export interface KnownNodes {
  /** Whether the state may lie on the channel's node. */
  hasState(channel: string): boolean;
  /** The state has been sent there, as the youngest item. */
  stateSent(channel: string): void;
  /** It is there; how many items are younger, nobody knows. */
  stateFound(channel: string): void;
  /** It is not there any more. */
  stateGone(channel: string): void;
  eventSent(channel: string): void;
  /** Whether the next event might push the state out. */
  isStateDue(channel: string, node: ReadyNode): boolean;
}

/** Makes it empty. */
export function createKnownNodes(): KnownNodes {
  /** Items that have come after the state; undefined: unknown. */
  const younger = new AgedMap<string, { since: number | undefined }>();
  const put = (channel: string, since: number | undefined): void => {
    const known = younger.get(channel);
    if (known !== undefined) {
      known.since = since;
      return;
    }
    const oldest = younger.oldest();
    if (younger.size >= MOST && oldest !== undefined) younger.delete(oldest);
    younger.set(channel, { since });
  };
  return {
    hasState: (channel) => younger.has(channel),
    stateSent: (channel) => put(channel, 0),
    stateFound: (channel) => put(channel, undefined),
    stateGone: (channel) => void younger.delete(channel),
    eventSent(channel) {
      const known = younger.get(channel);
      if (known?.since !== undefined) known.since += 1;
    },
    isStateDue(channel, { items }) {
      const known = younger.get(channel);
      if (known === undefined) return false;
      // A quarter is left for what others publish there.
      return known.since === undefined || known.since >= Math.max(1, Math.floor((items * 3) / 4));
    },
  };
}
