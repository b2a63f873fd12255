import { createHash } from "node:crypto";
import type { CancelTimer, Port, StateChange } from "@nomq/core";
import { type NodeMemory, readMemory, writeMemory } from "./node-memory.ts";

const PREFIX = "seen/";
/** What changed is written together: a memory is up to 6 KB, and a busy node changes its own with every item. */
const WRITE_AFTER_MS = 500;

/** What was seen of nodes, kept over restarts. After a crash it is up to half a second old: what comes again is known by `once`. */
export interface KeptMemories extends AsyncDisposable {
  /** Reads them all. */
  restore(): Promise<ReadonlyMap<string, NodeMemory>>;
  /** Keeps another memory of the node; undefined: none. */
  keep(node: string, memory: NodeMemory | undefined): void;
  /** Writes what has changed, now, and resolves when it is kept, or could not be. */
  written(): Promise<void>;
}

/** Keeps them through the port. */
export function createKeptMemories(port: Pick<Port, "clock" | "log" | "remember" | "state">): KeptMemories {
  const changed = new Map<string, NodeMemory | undefined>();
  let cancel: CancelTimer | undefined;
  let writing: Promise<void> = Promise.resolve();
  let isClosed = false;

  const write = async (): Promise<void> => {
    cancel?.();
    cancel = undefined;
    if (changed.size === 0) return;
    const batch = new Map(changed);
    changed.clear();
    try {
      await port.remember([...batch].map(([node, memory]) => changeOf(node, memory)));
    } catch (error) {
      port.log.warn("what was seen of XMPP nodes could not be kept", { error: String(error) });
      for (const [node, memory] of batch) if (!changed.has(node)) changed.set(node, memory);
      later();
    }
  };
  const later = (): void => {
    if (cancel !== undefined || isClosed) return;
    cancel = port.clock.after(WRITE_AFTER_MS, () => {
      cancel = undefined;
      writing = writing.then(write);
    });
  };

  return {
    async restore() {
      const found = new Map<string, NodeMemory>();
      for await (const [key, value] of port.state()) {
        if (!Buffer.from(key).toString().startsWith(PREFIX)) continue;
        const memory = readMemory(value);
        if (memory !== undefined) found.set(memory.node, memory);
      }
      return found;
    },
    keep(node, memory) {
      changed.set(node, memory);
      later();
    },
    async written() {
      writing = writing.then(write);
      await writing;
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      cancel?.();
      await writing;
      await write();
    },
  };
}

/** Names of nodes may be longer than a store's key should be. */
const changeOf = (node: string, memory: NodeMemory | undefined): StateChange => ({
  key: Buffer.from(PREFIX + createHash("sha256").update(node).digest("base64url")),
  ...(memory === undefined ? {} : { value: writeMemory(memory) }),
});
