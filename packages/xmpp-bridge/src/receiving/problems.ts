import type { Log } from "@nomq/core";

const MOST = 100;

/** What the operator should know of nodes that we read, each said once. */
export interface Problems {
  /** Of one node; undefined: it is well. */
  tell(node: string, reason: string | undefined): void;
  /** Of the whole service: these, and no others. */
  tellAll(reasons: readonly string[]): void;
  now(): readonly string[];
}

/** None yet. */
export function createProblems(log: Log): Problems {
  const ofNodes = new Map<string, string>();
  let ofAll: readonly string[] = [];
  return {
    tell(node, reason) {
      if (reason === undefined) {
        ofNodes.delete(node);
        return;
      }
      if (ofNodes.get(node) === reason || ofNodes.size >= MOST) return;
      ofNodes.set(node, reason);
      log.warn("an XMPP node cannot be subscribed to", { node: node.slice(0, 300), reason });
    },
    tellAll(reasons) {
      ofAll = reasons;
    },
    now: () => [...ofAll, ...[...ofNodes].map(([node, reason]) => `${node.slice(0, 300)}: ${reason}`)],
  };
}
