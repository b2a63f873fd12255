import { AgedMap } from "@nomq/core";
import type { NodeProblem } from "../nodes/nodes.ts";

/** Nodes whose items the service refuses, until it takes one. */
export interface ProblemNodes {
  /** Whether that is news; beyond as many as are listed nothing is. */
  refused(node: string, reason: string): boolean;
  /** Whether that has mended it. */
  taken(node: string): boolean;
  list(): readonly NodeProblem[];
}

const MOST = 100;

/** Makes it empty; `now` tells Unix milliseconds. */
export function createProblemNodes(now: () => number): ProblemNodes {
  const nodes = new AgedMap<string, NodeProblem>();
  return {
    refused(node, reason) {
      if (nodes.get(node)?.reason === reason) return false;
      const oldest = nodes.oldest();
      const isFull = nodes.size >= MOST;
      if (isFull && oldest !== undefined) nodes.delete(oldest);
      nodes.set(node, { node, reason, since: now() });
      return !isFull;
    },
    taken: (node) => nodes.delete(node),
    list: () => [...nodes.values()],
  };
}
