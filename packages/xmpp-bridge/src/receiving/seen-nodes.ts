import type { KeptMemories } from "./kept-memories.ts";
import type { Mark } from "./marks.ts";
import type { NodeMemory } from "./node-memory.ts";
import { seenEvents } from "./seen-events.ts";

/** Nodes that are not there and of which that is remembered, at most. */
const MOST_GONE = 1_000;

/** What was seen of nodes, also of those that are not read now. */
export interface SeenNodes {
  /** Reads what earlier runs remembered. */
  restore(): Promise<Iterable<NodeMemory>>;
  get(node: string): NodeMemory | undefined;
  /** All that the memory says has been seen, and what became messages is stored. */
  settled(memory: NodeMemory, marks: readonly Pick<Mark, "key">[]): void;
  /** The node is not there: once it is made, all that comes to lie on it is new. */
  gone(node: string, channel: string): void;
  /** Nobody asks for the node any more. */
  forget(node: string): void;
}

/** Makes it, without any. */
export function createSeenNodes(memories: KeptMemories): SeenNodes {
  const seen = new Map<string, NodeMemory>();
  const gone = new Set<string>();
  const forget = (node: string): void => {
    gone.delete(node);
    if (seen.delete(node)) memories.keep(node, undefined);
  };
  const keep = (memory: NodeMemory, marks: readonly Pick<Mark, "key">[]): void => {
    seen.set(memory.node, memory);
    memories.keep(memory.node, memory, marks);
  };
  return {
    async restore() {
      for (const [node, memory] of await memories.restore()) seen.set(node, memory);
      return [...seen.values()];
    },
    get: (node) => seen.get(node),
    settled(memory, marks) {
      gone.delete(memory.node);
      keep(memory, marks);
    },
    gone(node, channel) {
      const before = seen.get(node);
      if (before === undefined || before.events.size > 0 || before.current !== undefined)
        keep({ node, channel, events: seenEvents() }, []);
      gone.delete(node);
      gone.add(node);
      const [oldest] = gone;
      if (gone.size > MOST_GONE && oldest !== undefined) forget(oldest);
    },
    forget,
  };
}
