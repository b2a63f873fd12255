import { type CancelTimer, createWriteBehind, type Port, type StateChange } from "@nomq/core";
import { STATE_ITEM } from "../payload/state-item.ts";
import { CLEARED, endOf, type Mark, readMark, shortOf } from "./marks.ts";
import { type NodeMemory, readMemory, withCurrent, writeMemory } from "./node-memory.ts";

const PREFIX = "seen/";
/** What changed is written together: a memory is up to 6 KB, and a busy node changes its own with every item. */
const WRITE_AFTER_MS = 500;

/**
 * What was seen of nodes, kept over restarts. After a crash it is up to half a second old; what was taken in since is
 * known by its mark.
 */
export interface KeptMemories extends AsyncDisposable {
  /** Reads them all. */
  restore(): Promise<ReadonlyMap<string, NodeMemory>>;
  /** Keeps another memory of the node; undefined: none. The marks are not needed any more once that is written. */
  keep(node: string, memory: NodeMemory | undefined, marks?: readonly Pick<Mark, "key">[]): void;
  /** Writes what is to be kept now. Rejects where that could not be done; it is tried again by and by. */
  written(): Promise<void>;
}

/** Keeps them through the port. */
export function createKeptMemories(port: Pick<Port, "clock" | "log" | "remember" | "state">): KeptMemories {
  const changed = new Map<string, NodeMemory | undefined>();
  let ended: Pick<Mark, "key">[] = [];
  let cancel: CancelTimer | undefined;
  let isClosed = false;

  const write = async (): Promise<void> => {
    cancel?.();
    cancel = undefined;
    if (changed.size === 0 && ended.length === 0) return;
    const batch = new Map(changed);
    const marks = ended;
    changed.clear();
    ended = [];
    try {
      await port.remember([
        ...[...batch].map(([node, memory]) => changeOf(node, memory)),
        ...marks.map(endOf),
      ]);
    } catch (error) {
      port.log.warn("what was seen of XMPP nodes could not be kept", { error: String(error) });
      for (const [node, memory] of batch) if (!changed.has(node)) changed.set(node, memory);
      ended = [...marks, ...ended];
      later();
      throw error;
    }
  };
  const behind = createWriteBehind({ write });
  const later = (): void => {
    if (cancel !== undefined || isClosed) return;
    cancel = port.clock.after(WRITE_AFTER_MS, () => {
      cancel = undefined;
      behind.begin();
    });
  };
  const written = async (): Promise<void> => {
    behind.begin();
    await behind.written();
  };

  return {
    async restore() {
      const { memories, strays } = await readAll(port);
      ended.push(...strays);
      return memories;
    },
    keep(node, memory, marks = []) {
      changed.set(node, memory);
      ended.push(...marks);
      later();
    },
    written,
    async [Symbol.asyncDispose]() {
      isClosed = true;
      cancel?.();
      await written().catch(() => undefined);
    },
  };
}

const keyOf = (node: string): string => PREFIX + shortOf(node);
const changeOf = (node: string, memory: NodeMemory | undefined): StateChange => ({
  key: Buffer.from(keyOf(node)),
  ...(memory === undefined ? {} : { value: writeMemory(memory) }),
});

/** The memories, each with the marks that are younger than it; `strays` are of no node. */
async function readAll(
  port: Pick<Port, "state">,
): Promise<{ readonly memories: Map<string, NodeMemory>; readonly strays: readonly Mark[] }> {
  const byHash = new Map<string, NodeMemory>();
  const marks: Mark[] = [];
  for await (const [key, value] of port.state()) {
    if (readMark(key, value) !== undefined) marks.push({ key, value });
    const text = Buffer.from(key).toString();
    const memory = text.startsWith(PREFIX) ? readMemory(value) : undefined;
    if (memory !== undefined) byHash.set(shortOf(memory.node), memory);
  }
  const strays: Mark[] = [];
  for (const mark of marks) {
    const { node = "", id = "", print = "" } = readMark(mark.key, mark.value) ?? {};
    const memory = byHash.get(node);
    if (memory === undefined) strays.push(mark);
    else byHash.set(node, withMark(memory, id, print));
  }
  return { memories: new Map([...byHash.values()].map((memory) => [memory.node, memory])), strays };
}

const SHORT_STATE_ITEM = shortOf(STATE_ITEM);

function withMark(memory: NodeMemory, id: string, print: string): NodeMemory {
  if (id === SHORT_STATE_ITEM)
    return withCurrent(memory, print === CLEARED ? undefined : { print, isOwn: false });
  return { ...memory, marked: new Map([...(memory.marked ?? []), [id, print]]) };
}
