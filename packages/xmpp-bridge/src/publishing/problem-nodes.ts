import { AgedMap } from "@nomq/core";
import type { NodeProblem } from "../nodes/nodes.ts";

/** Nodes whose items the service refuses, until it takes one. */
export interface ProblemNodes {
  refused(node: string, reason: string): void;
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
      if (nodes.get(node)?.reason === reason) return;
      const oldest = nodes.oldest();
      if (nodes.size >= MOST && oldest !== undefined) nodes.delete(oldest);
      nodes.set(node, { node, reason, since: now() });
    },
    taken: (node) => nodes.delete(node),
    list: () => [...nodes.values()],
  };
}
