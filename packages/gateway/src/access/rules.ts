import {
  type Access,
  type Action,
  type Extent,
  filterMatches,
  isValidFilter,
  NomqError,
  type Principal,
} from "@nomq/core";
import { filterCovers, filtersOverlap } from "./filters.ts";
import { type WhoCheck, whoCheck } from "./who.ts";

/** One line of `access.rules`: who may publish to and subscribe to which filters. Rules only allow. */
export interface AccessRule {
  /** A principal, `addr:CIDR`, `anonymous` or `*`. */
  readonly who: string;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

/** What the rules say of one question, for `nomq access explain`. */
export interface Explanation {
  readonly allowed: boolean;
  /** The first rule that allows it: its place in the list, from 0, and the filter that matched. */
  readonly rule?: number;
  readonly filter?: string;
}

/** The rules in force. {@link Access.may} is asked at every publish, subscription and delivery. */
export interface AccessRules extends Access {
  /** A subscription to a filter: `some` may be granted, as every delivery is asked for again. */
  extent(who: Principal, action: Action, filter: string): Extent;
  /** Of a channel, or of a filter: then the rule that allows most of it comes first. */
  explain(who: Principal, action: Action, channel: string): Explanation;
  /** What somebody may do, as the filters of the rules that speak of them, in order. */
  filtersOf(who: Principal, action: Action): readonly string[];
  /** Takes other rules, at once and all of them; throws `config-invalid` and keeps the old ones when one is wrong. */
  replace(rules: readonly AccessRule[]): void;
  /** Calls back after every {@link replace}, for what must end a running subscription. */
  onChange(changed: () => void): () => void;
}

interface Compiled {
  readonly at: number;
  readonly check: WhoCheck;
  readonly filters: Readonly<Record<Action, readonly string[]>>;
}

/** What one principal may do: the filters of all rules that speak of it, and what was asked lately. */
interface Grants {
  readonly filters: Readonly<Record<Action, readonly Grant[]>>;
  readonly asked: Readonly<Record<Action, Map<string, boolean>>>;
}

interface Grant {
  readonly filter: string;
  readonly rule: number;
}

/** Addresses are principals too: without a bound a network of them would fill the memory. */
const MOST_PRINCIPALS = 10_000;
/** Answers remembered for all of them together, and the longest name of which one is: askers make names up. */
const MOST_ASKED = 100_000;
const LONGEST_ASKED = 256;

/** Makes the rules. What no rule allows is denied. Throws `config-invalid`, naming the rule's place. */
export function createAccessRules(rules: readonly AccessRule[]): AccessRules {
  return new Rules(rules);
}

class Rules implements AccessRules {
  #rules: readonly Compiled[];
  readonly #grants = new Map<Principal, Grants>();
  /** Answers remembered. */
  #asked = 0;
  readonly #listeners = new Set<() => void>();

  constructor(rules: readonly AccessRule[]) {
    this.#rules = rules.map(compile);
  }

  may(who: Principal, action: Action, channel: string): boolean {
    const { asked, filters } = this.#grantsOf(who);
    const known = asked[action].get(channel);
    if (known !== undefined) return known;
    const allowed = filters[action].some(({ filter }) => filterMatches(filter, channel));
    if (channel.length <= LONGEST_ASKED) {
      if (this.#asked >= MOST_ASKED) this.#forgetAnswers();
      this.#asked += 1;
      asked[action].set(channel, allowed);
    }
    return allowed;
  }

  #forgetAll(): void {
    this.#grants.clear();
    this.#asked = 0;
  }

  #forgetAnswers(): void {
    this.#asked = 0;
    for (const { asked } of this.#grants.values()) {
      asked.publish.clear();
      asked.subscribe.clear();
    }
  }

  extent(who: Principal, action: Action, filter: string): Extent {
    const grants = this.#grantsOf(who).filters[action];
    if (grants.some((grant) => filterCovers(grant.filter, filter))) return "all";
    return grants.some((grant) => filtersOverlap(grant.filter, filter)) ? "some" : "none";
  }

  explain(who: Principal, action: Action, channel: string): Explanation {
    const grants = this.#grantsOf(who).filters[action];
    const grant =
      grants.find(({ filter }) => filterCovers(filter, channel)) ??
      grants.find(({ filter }) => filtersOverlap(filter, channel));
    return grant === undefined ? { allowed: false } : { allowed: true, ...grant };
  }

  filtersOf(who: Principal, action: Action): readonly string[] {
    return this.#grantsOf(who).filters[action].map(({ filter }) => filter);
  }

  replace(rules: readonly AccessRule[]): void {
    this.#rules = rules.map(compile);
    this.#forgetAll();
    for (const changed of this.#listeners) changed();
  }

  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #grantsOf(who: Principal): Grants {
    const known = this.#grants.get(who);
    if (known !== undefined) return known;
    const mine = this.#rules.filter(({ check }) => check(who));
    const filtersOf = (action: Action): Grant[] =>
      mine.flatMap(({ at, filters }) => filters[action].map((filter) => ({ filter, rule: at })));
    const grants: Grants = {
      filters: { publish: filtersOf("publish"), subscribe: filtersOf("subscribe") },
      asked: { publish: new Map(), subscribe: new Map() },
    };
    if (this.#grants.size >= MOST_PRINCIPALS) this.#forgetAll();
    this.#grants.set(who, grants);
    return grants;
  }
}

function compile(rule: AccessRule, at: number): Compiled {
  const { who, publish = [], subscribe = [] } = rule;
  for (const filter of [...publish, ...subscribe]) {
    if (isValidFilter(filter)) continue;
    throw new NomqError("config-invalid", `access.rules[${at}]: "${filter}" is no filter`);
  }
  return { at, check: whoCheck(who, `access.rules[${at}].who`), filters: { publish, subscribe } };
}
