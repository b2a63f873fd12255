/** Most branches have one child and no filter of their own: what they lack takes no memory. */
interface Branch<T> {
  children: Map<string, Branch<T>> | undefined;
  /** Below `+`. */
  any: Branch<T> | undefined;
  /** Filters that end here. */
  here: Set<T> | undefined;
  /** Filters that end here with `#`. */
  rest: Set<T> | undefined;
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
        branch.rest ??= new Set();
        branch.rest.add(target);
        return;
      }
      branch = step(branch, level);
    }
    branch.here ??= new Set();
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
  return { children: undefined, any: undefined, here: undefined, rest: undefined };
}

function step<T>(branch: Branch<T>, level: string): Branch<T> {
  if (level === "+") {
    branch.any ??= newBranch();
    return branch.any;
  }
  branch.children ??= new Map();
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
  if (level === undefined) branch.here = without(branch.here, end.target);
  else if (level === "#") branch.rest = without(branch.rest, end.target);
  else {
    const next = level === "+" ? branch.any : branch.children?.get(level);
    if (next === undefined) return false;
    if (removeFrom(next, levels, { at: end.at + 1, target: end.target })) cutOff(branch, level);
  }
  return [branch.here, branch.rest, branch.children, branch.any].every((part) => part === undefined);
}

function without<T>(targets: Set<T> | undefined, target: T): Set<T> | undefined {
  targets?.delete(target);
  return targets?.size === 0 ? undefined : targets;
}

function cutOff<T>(branch: Branch<T>, level: string): void {
  if (level === "+") {
    branch.any = undefined;
    return;
  }
  branch.children?.delete(level);
  if (branch.children?.size === 0) branch.children = undefined;
}

function walk<T>(branch: Branch<T>, channel: string, at: { from: number; found: (target: T) => void }): void {
  // `#` covers its parent level too (MQTT 5.0 section 4.7.1.2).
  branch.rest?.forEach(at.found);
  if (at.from > channel.length) {
    branch.here?.forEach(at.found);
    return;
  }
  const slash = channel.indexOf("/", at.from);
  const end = slash === -1 ? channel.length : slash;
  const below = { from: end + 1, found: at.found };
  if (branch.any !== undefined) walk(branch.any, channel, below);
  if (branch.children === undefined) return;
  const child = branch.children.get(channel.slice(at.from, end));
  if (child !== undefined) walk(child, channel, below);
}
