import { AgedMap } from "@nomq/core";
import { nodeOfChannel } from "../nodes/node-name.ts";
import type { NodeProblem } from "../nodes/nodes.ts";

/** Nodes whose items the service refuses, until it takes one. */
export interface ProblemNodes {
  /** Whether that is news; beyond as many as are listed nothing is. */
  refused(channel: string, reason: string): boolean;
  /** Whether that has mended it. */
  taken(channel: string): boolean;
  /** Forgets all: the next refusal is news. Answers their channels. */
  letOff(): readonly string[];
  list(): readonly NodeProblem[];
}

const MOST = 100;

/** Makes it empty; `now` tells Unix milliseconds. */
export function createProblemNodes(now: () => number): ProblemNodes {
  /** By channel. */
  const nodes = new AgedMap<string, NodeProblem>();
  return {
    refused(channel, reason) {
      if (nodes.get(channel)?.reason === reason) return false;
      const oldest = nodes.oldest();
      const isFull = nodes.size >= MOST;
      if (isFull && oldest !== undefined) nodes.delete(oldest);
      nodes.set(channel, { node: nodeOfChannel(channel), reason, since: now() });
      return !isFull;
    },
    taken: (channel) => nodes.delete(channel),
    letOff() {
      const channels = [...nodes.keys()];
      for (const channel of channels) nodes.delete(channel);
      return channels;
    },
    list: () => [...nodes.values()],
  };
}
