import type { Action } from "@nomq/core";
import type { Prng } from "@nomq/core/testing";
import type { AccessRule } from "../../../src/access/index.ts";

/** Every channel of the walk: shared levels, empty ones, one inside the other. */
export const CHANNELS = ["a", "a/b", "a/b/c", "a//c", "b", "b/c", "/b", "c", "c/b/a"] as const;
/** What rules and subscriptions are made of. */
const FILTERS = ["a", "a/b", "a/#", "a/+", "+/b", "#", "+", "b/+/#", "/+", "+/+/c", "a//c", "c/#", "b"];
/** What everyone may read, so that everyone can be asked whether all has come. */
export const MARKS = "end/#";
export const MARK_CHANNELS = ["end/0", "end/1", "end/2"] as const;

/** Who may do everything, whatever the rules say. */
export const EVERYTHING = "token:control";

/** Everyone who takes part, as rules may name them; the last ones are more than one. */
const WHO = [
  "user:ann",
  "user:bob",
  "nomq:site",
  "nomq:field",
  "token:reader",
  "token:writer",
  "jid:alice@localhost",
  "jid:Alice@LocalHost",
  "jid:pubsub.localhost",
  "anonymous",
  "addr:127.0.0.0/8",
  "*",
];

/** Rules drawn at random. */
export function drawRules(prng: Prng): AccessRule[] {
  const rules = Array.from({ length: prng.between(3, 10) }, (): AccessRule => {
    const who = pick(prng, WHO);
    const publish = drawFilters(prng);
    const subscribe = drawFilters(prng);
    return publish.length + subscribe.length > 0 ? { who, publish, subscribe } : { who, publish: ["a"] };
  });
  return [...rules, { who: "*", publish: [MARKS], subscribe: [MARKS] }];
}

export function drawFilters(prng: Prng): string[] {
  return Array.from({ length: prng.between(0, 2) }, () => pick(prng, FILTERS));
}

export function pick<T>(prng: Prng, some: readonly T[]): T {
  const one = some[prng.between(0, some.length - 1)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}

/** What the rules say, worked out in the plainest way. */
export function mayPlainly(
  rules: readonly AccessRule[],
  who: string,
  asked: readonly [Action, string],
): boolean {
  const [action, channel] = asked;
  if (who === EVERYTHING) return true;
  return rules.some(
    (rule) =>
      isMeant(rule.who, who) && (rule[action] ?? []).some((filter) => matchesPlainly(filter, channel)),
  );
}

function isMeant(rule: string, who: string): boolean {
  if (rule === "*" || rule === who) return true;
  if (rule.startsWith("jid:")) return rule.toLowerCase() === who;
  // Nobody in the walk comes from elsewhere.
  return (rule === "anonymous" || rule === "addr:127.0.0.0/8") && who === "addr:127.0.0.1";
}

/** MQTT 5.0 section 4.7.1, level by level. */
export function matchesPlainly(filter: string, channel: string): boolean {
  const match = (wanted: readonly string[], levels: readonly string[]): boolean => {
    const [first, ...rest] = wanted;
    if (first === "#") return true;
    if (first === undefined) return levels.length === 0;
    const [level, ...below] = levels;
    if (level === undefined) return false;
    return (first === "+" || first === level) && match(rest, below);
  };
  const levels = channel.split("/");
  // `a/#` is also `a`.
  return (
    match(filter.split("/"), levels) ||
    (filter.endsWith("/#") && match(filter.slice(0, -2).split("/"), levels))
  );
}
