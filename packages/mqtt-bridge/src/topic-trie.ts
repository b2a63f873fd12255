/** Values filed under topic filters; the cost of a match does not depend on filters that do not match. */
export interface TopicTrie<T> {
  add(filter: string, value: T): void;
  remove(filter: string, value: T): void;
  /** All values whose filter covers the topic; one filed under several filters comes several times. */
  match(topic: string): T[];
}

interface Level<T> {
  readonly below: Map<string, Level<T>>;
  readonly values: Set<T>;
}

const newLevel = <T>(): Level<T> => ({ below: new Map(), values: new Set() });

/** Makes an empty trie. Nothing recurses: a topic may have 65,535 levels. */
export function createTopicTrie<T>(): TopicTrie<T> {
  const root = newLevel<T>();

  return {
    add(filter, value) {
      let level = root;
      for (const name of filter.split("/")) {
        const next = level.below.get(name) ?? newLevel<T>();
        level.below.set(name, next);
        level = next;
      }
      level.values.add(value);
    },
    remove(filter, value) {
      const path: [Level<T>, string][] = [];
      let level = root;
      for (const name of filter.split("/")) {
        const next = level.below.get(name);
        if (next === undefined) return;
        path.push([level, name]);
        level = next;
      }
      level.values.delete(value);
      for (const [above, name] of path.reverse()) {
        const below = above.below.get(name);
        if (below === undefined || below.values.size > 0 || below.below.size > 0) return;
        above.below.delete(name);
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
        found.push(...level.values);
        // Section 4.7.1.2: `#` covers its parent level too.
        found.push(...(level.below.get("#")?.values ?? []));
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
  const exact = level.below.get(typeof name === "string" ? name : name[0]);
  if (exact !== undefined) next.push(exact);
  if (typeof name !== "string") return;
  const single = level.below.get("+");
  if (single !== undefined) next.push(single);
  const rest = level.below.get("#");
  if (rest !== undefined) found.push(...rest.values);
}
