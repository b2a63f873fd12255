import type { Clock, Log } from "@nomq/core";

const MOST = 100;
/** How long the status says that events were missed: nothing mends that. */
const MISSED_MS = 600_000;

const MISSED =
  "items of an XMPP node are missing: it keeps fewer than were published while the gateway was away (xmpp.history at " +
  "who publishes there, docs/xmpp.md)";

/** What the operator should know of nodes that we read, each said once. */
export interface Problems {
  /** Of one node; undefined: it is well. */
  tell(node: string, reason: string | undefined): void;
  /** A new session: what was missed before it has been said. */
  begin(): void;
  /** More was missed of the node than its history holds. */
  missed(node: string): void;
  /** Of the whole service: these, and no others. */
  tellAll(reasons: readonly string[]): void;
  now(): readonly string[];
}

/** None yet. */
export function createProblems({
  clock,
  log,
}: {
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}): Problems {
  const ofNodes = new Map<string, string>();
  let ofAll: readonly string[] = [];
  let missed: { readonly node: string; readonly until: number } | undefined;
  let isMissedSaid = false;
  const missedNow = (): readonly string[] => {
    if (missed === undefined || missed.until < clock.monotonic()) return [];
    return [`events missed: the history of ${shown(missed.node)} was too short (docs/xmpp.md)`];
  };
  return {
    tell(node, reason) {
      if (reason === undefined) {
        ofNodes.delete(node);
        return;
      }
      if (ofNodes.get(node) === reason || ofNodes.size >= MOST) return;
      ofNodes.set(node, reason);
      log.warn("an XMPP node cannot be subscribed to", { node: shown(node), reason });
    },
    begin() {
      isMissedSaid = false;
    },
    missed(node) {
      // A long outage may have left all nodes with gaps.
      const level = isMissedSaid ? "debug" : "warn";
      isMissedSaid = true;
      missed = { node, until: clock.monotonic() + MISSED_MS };
      log[level](MISSED, { node: shown(node) });
    },
    tellAll(reasons) {
      ofAll = reasons;
    },
    now: () => [
      ...ofAll,
      ...[...ofNodes].map(([node, reason]) => `${shown(node)}: ${reason}`),
      ...missedNow(),
    ],
  };
}

const shown = (node: string): string => node.slice(0, 300);
