import type { Access, Action, Clock, Login, Principal } from "@nomq/core";
import { type AccessToken, type AccessUser, type Accounts, createAccounts } from "./accounts.ts";
import { type AccessRule, type AccessRules, createAccessRules, type Explanation } from "./rules.ts";

/** The principal of the control socket: whoever may open it owns the gateway, whatever the rules. */
export const OWNER = "token:control";

/** The `access` section: who there is, and who may do what. */
export interface AccessSettings {
  readonly users: readonly AccessUser[];
  readonly tokens: readonly AccessToken[];
  readonly rules: readonly AccessRule[];
}

/** What another `access` section changed: names, and rules in words; no secrets. */
export interface AccessChange {
  readonly usersAdded: readonly string[];
  readonly usersRemoved: readonly string[];
  /** Their password is another. */
  readonly usersChanged: readonly string[];
  readonly tokensAdded: readonly string[];
  readonly tokensRemoved: readonly string[];
  /** Their secret or their scopes are others. */
  readonly tokensChanged: readonly string[];
  /** `user:ann publish cmd/# subscribe #`. */
  readonly rulesAdded: readonly string[];
  readonly rulesRemoved: readonly string[];
}

/** Who may do what in one gateway, replaceable while it runs. */
export interface AccessControl extends Access {
  /** False without an `access` section: then whoever a listener admits may do everything. */
  isOn(): boolean;
  readonly accounts: Accounts;
  /** A login by name. Undefined without an `access` section: nobody has an account. */
  readonly authenticate: (user: string, password: string, from: string) => Promise<Login> | undefined;
  /** The rule that allows it. Undefined without an `access` section, and for the control socket. */
  explain(who: Principal, action: Action, channel: string): Explanation | undefined;
  /** What the rules let somebody do, as filters. */
  filtersOf(who: Principal, action: Action): readonly string[];
  /** Takes another section, all of it; throws `config-invalid` and keeps the old one when one part is wrong. */
  replace(settings: AccessSettings): AccessChange;
}

/** Makes the control; without settings everything is allowed until some come. */
export function createAccessControl(
  settings: AccessSettings | undefined,
  options: { readonly clock?: Clock } = {},
): AccessControl {
  let inForce = settings;
  const { users = [], tokens = [] } = settings ?? {};
  const accounts = createAccounts({ users, tokens, ...options });
  const rules: AccessRules = createAccessRules(settings?.rules ?? []);
  const isFree = (who: Principal): boolean => inForce === undefined || who === OWNER;
  return {
    isOn: () => inForce !== undefined,
    accounts,
    authenticate: (user, password, from) =>
      inForce === undefined ? undefined : accounts.password(user, password, from),
    may: (who, action, channel) => isFree(who) || rules.may(who, action, channel),
    extent: (who, action, filter) => (isFree(who) ? "all" : rules.extent(who, action, filter)),
    onChange: (changed) => rules.onChange(changed),
    explain: (who, action, channel) => (isFree(who) ? undefined : rules.explain(who, action, channel)),
    filtersOf: (who, action) => rules.filtersOf(who, action),
    replace(next) {
      // Whatever is wrong is found before anything is taken.
      createAccessRules(next.rules);
      accounts.replace(next.users, next.tokens);
      const change = changeOf(inForce, next);
      inForce = next;
      rules.replace(next.rules);
      return change;
    },
  };
}

function changeOf(before: AccessSettings | undefined, after: AccessSettings): AccessChange {
  const users = namesChanged(before?.users ?? [], after.users);
  const tokens = namesChanged(before?.tokens ?? [], after.tokens);
  const old = (before?.rules ?? []).map(inWords);
  const now = after.rules.map(inWords);
  return {
    usersAdded: users.added,
    usersRemoved: users.removed,
    usersChanged: users.changed,
    tokensAdded: tokens.added,
    tokensRemoved: tokens.removed,
    tokensChanged: tokens.changed,
    rulesAdded: notIn(now, old),
    rulesRemoved: notIn(old, now),
  };
}

function notIn(some: readonly string[], others: readonly string[]): readonly string[] {
  const known = new Set(others);
  return some.filter((each) => !known.has(each));
}

function inWords({ who, publish = [], subscribe = [] }: AccessRule): string {
  const part = (action: string, filters: readonly string[]): string =>
    filters.length === 0 ? "" : ` ${action} ${filters.join(" ")}`;
  return `${who}${part("publish", publish)}${part("subscribe", subscribe)}`;
}

interface NamesChanged {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

function namesChanged(
  before: readonly { readonly name: string }[],
  after: readonly { readonly name: string }[],
): NamesChanged {
  const old = new Map(before.map((each) => [each.name, textOf(each)]));
  const now = new Map(after.map((each) => [each.name, textOf(each)]));
  const names = [...now.keys()];
  return {
    added: names.filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: names.filter((name) => old.has(name) && old.get(name) !== now.get(name)),
  };
}

const textOf = (value: object): string => JSON.stringify(value);
