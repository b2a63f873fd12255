interface Branch<T> {
  readonly children: Map<string, Branch<T>>;
  /** Below `+`. */
  any: Branch<T> | undefined;
  /** Filters that end here. */
  readonly here: Set<T>;
  /** Filters that end here with `#`. */
  readonly rest: Set<T>;
}

/**
 * Filters in a trie of levels: finding who wants a channel costs what the channel's own path costs, whatever the
 * number of channels and of filters elsewhere.
 */
export class Routes<T> {
  private readonly root: Branch<T> = newBranch();

  /** Adding twice is adding once. */
  add(filter: string, target: T): void {
    let branch = this.root;
    for (const level of filter.split("/")) {
      if (level === "#") {
        branch.rest.add(target);
        return;
      }
      branch = step(branch, level);
    }
    branch.here.add(target);
  }

  remove(filter: string, target: T): void {
    removeFrom(this.root, filter.split("/"), { at: 0, target });
  }

  /** Calls `found` for every target under the channel, once per matching filter. */
  match(channel: string, found: (target: T) => void): void {
    walk(this.root, channel, { from: 0, found });
  }
}

function newBranch<T>(): Branch<T> {
  return { children: new Map(), any: undefined, here: new Set(), rest: new Set() };
}

function step<T>(branch: Branch<T>, level: string): Branch<T> {
  if (level === "+") {
    branch.any ??= newBranch();
    return branch.any;
  }
  let child = branch.children.get(level);
  if (child === undefined) {
    child = newBranch();
    branch.children.set(level, child);
  }
  return child;
}

/** Removes and prunes; true when the branch holds nothing any more. */
function removeFrom<T>(
  branch: Branch<T>,
  levels: readonly string[],
  end: { at: number; target: T },
): boolean {
  const level = levels[end.at];
  if (level === undefined) branch.here.delete(end.target);
  else if (level === "#") branch.rest.delete(end.target);
  else {
    const next = level === "+" ? branch.any : branch.children.get(level);
    if (next === undefined) return false;
    if (removeFrom(next, levels, { at: end.at + 1, target: end.target })) {
      if (level === "+") branch.any = undefined;
      else branch.children.delete(level);
    }
  }
  return branch.here.size + branch.rest.size + branch.children.size === 0 && branch.any === undefined;
}

function walk<T>(branch: Branch<T>, channel: string, at: { from: number; found: (target: T) => void }): void {
  // `#` covers its parent level too (MQTT 5.0 section 4.7.1.2).
  if (branch.rest.size > 0) branch.rest.forEach(at.found);
  if (at.from > channel.length) {
    if (branch.here.size > 0) branch.here.forEach(at.found);
    return;
  }
  const slash = channel.indexOf("/", at.from);
  const end = slash === -1 ? channel.length : slash;
  const below = { from: end + 1, found: at.found };
  if (branch.any !== undefined) walk(branch.any, channel, below);
  if (branch.children.size === 0) return;
  const child = branch.children.get(channel.slice(at.from, end));
  if (child !== undefined) walk(child, channel, below);
}
