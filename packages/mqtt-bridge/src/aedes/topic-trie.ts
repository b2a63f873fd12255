/** Values filed under topic filters; the cost of a match does not depend on filters that do not match. */
export interface TopicTrie<T> {
  add(filter: string, value: T): void;
  remove(filter: string, value: T): void;
  /** All values whose filter covers the topic; one filed under several filters comes several times. */
  match(topic: string): T[];
}

/** What a level lacks takes no memory: most have one level below and no value. */
interface Level<T> {
  below: Map<string, Level<T>> | undefined;
  values: Set<T> | undefined;
}

const newLevel = <T>(): Level<T> => ({ below: undefined, values: undefined });

/** Makes an empty trie. Nothing recurses: a topic may have 65,535 levels. */
export function createTopicTrie<T>(): TopicTrie<T> {
  const root = newLevel<T>();

  return {
    add(filter, value) {
      let level = root;
      for (const name of filter.split("/")) {
        level.below ??= new Map();
        const next = level.below.get(name) ?? newLevel<T>();
        level.below.set(name, next);
        level = next;
      }
      level.values ??= new Set();
      level.values.add(value);
    },
    remove(filter, value) {
      const path: [Level<T>, string][] = [];
      let level = root;
      for (const name of filter.split("/")) {
        const next = level.below?.get(name);
        if (next === undefined) return;
        path.push([level, name]);
        level = next;
      }
      level.values?.delete(value);
      if (level.values?.size === 0) level.values = undefined;
      for (const [above, name] of path.reverse()) {
        const below = above.below?.get(name);
        if (below === undefined || below.values !== undefined || below.below !== undefined) return;
        above.below?.delete(name);
        if (above.below?.size === 0) above.below = undefined;
      }
    },
    match(topic) {
      const found: T[] = [];
      let here = [root];
      // MQTT 5.0 section 4.7.2: a leading wildcard does not cover topics that begin with `$`.
      let wildcards = !topic.startsWith("$");
      for (const name of topic.split("/")) {
        const next: Level<T>[] = [];
        for (const level of here) step(level, wildcards ? name : [name], { next, found });
        here = next;
        wildcards = true;
        if (here.length === 0) return found;
      }
      for (const level of here) {
        take(level, found);
        // Section 4.7.1.2: `#` covers its parent level too.
        take(level.below?.get("#"), found);
      }
      return found;
    },
  };
}

/** One level down; a name in an array is matched without wildcards. */
function step<T>(
  level: Level<T>,
  name: string | readonly [string],
  { next, found }: { readonly next: Level<T>[]; readonly found: T[] },
): void {
  const exact = level.below?.get(typeof name === "string" ? name : name[0]);
  if (exact !== undefined) next.push(exact);
  if (typeof name !== "string") return;
  const single = level.below?.get("+");
  if (single !== undefined) next.push(single);
  take(level.below?.get("#"), found);
}

/** One by one: a spread of very many values does not fit on the stack. */
function take<T>(level: Level<T> | undefined, found: T[]): void {
  if (level?.values !== undefined) for (const value of level.values) found.push(value);
}
