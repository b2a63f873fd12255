import { filterMatches, isValidChannel, isValidFilter, MAX_NAME_BYTES } from "@nomq/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Routes } from "../src/hub/routes.ts";
import { naiveMatch } from "./hub-oracle/naive-match.ts";

const numRuns = process.env["NOMQ_LONG"] === undefined ? 2_000 : 100_000;

// Few distinct levels, so that filters and channels meet; the empty level is one of them.
const level = fc.constantFrom("", "a", "b", "$x", "é");
const channel = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(
    fc.array(fc.oneof(level, fc.constant("+")), { minLength: 0, maxLength: 4 }),
    fc.constantFrom("", "#", "+", "a"),
  )
  .map(([levels, last]) => [...levels, last].join("/"));

describe("filterMatches", () => {
  // MQTT 5.0 sections 4.7.1.2, 4.7.1.3 and 4.7.3: the standard's own examples.
  test.for([
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/#", "sport", true],
    ["#", "sport/tennis", true],
    ["sport/tennis/+", "sport/tennis/player1", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["/+", "/finance", true],
    ["+", "/finance", false],
    ["ACCOUNTS", "Accounts", false],
  ] as const)("%s against %s is %s", ([pattern, name, expected]) => {
    expect(filterMatches(pattern, name)).toBe(expected);
    expect(naiveMatch(pattern, name)).toBe(expected);
  });

  test("agrees with a naive matcher", () => {
    const agrees = (pattern: string, name: string): boolean =>
      filterMatches(pattern, name) === naiveMatch(pattern, name);
    fc.assert(fc.property(filter, channel, agrees), { numRuns });
  });
});

describe("the trie of routes", () => {
  const found = (routes: Routes<number>, name: string): number[] => {
    const targets = new Set<number>();
    routes.match(name, (target) => targets.add(target));
    return [...targets].sort();
  };

  test("finds whom the naive matcher finds, also after removals", () => {
    const table = fc.array(fc.tuple(filter, fc.nat(5), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(table, fc.array(channel, { minLength: 1, maxLength: 5 }), (changes, names) => {
        const routes = new Routes<number>();
        const wanted = new Map<string, Set<number>>();
        for (const [pattern, target, adds] of changes) {
          const own = wanted.get(pattern) ?? new Set();
          wanted.set(pattern, own);
          if (adds) routes.add(pattern, target);
          else routes.remove(pattern, target);
          if (adds) own.add(target);
          else own.delete(target);
        }
        for (const name of names) {
          const expected = new Set<number>();
          for (const [pattern, targets] of wanted) {
            if (naiveMatch(pattern, name)) for (const target of targets) expected.add(target);
          }
          expect(found(routes, name)).toEqual([...expected].sort());
        }
      }),
      { numRuns },
    );
  });

  test("holds nothing once everything is removed", () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 20 }), (filters) => {
        const routes = new Routes<number>();
        for (const pattern of filters) routes.add(pattern, 1);
        for (const pattern of filters) routes.remove(pattern, 1);
        expect(routes).toEqual(new Routes<number>());
      }),
      { numRuns: numRuns / 10 },
    );
  });
});

describe("names", () => {
  test("a valid channel is a valid filter that matches itself", () => {
    const name = fc.oneof(channel, fc.string({ unit: "binary", maxLength: 20 }));
    fc.assert(
      fc.property(name, (text) => {
        fc.pre(isValidChannel(text));
        expect(isValidFilter(text)).toBe(true);
        expect(filterMatches(text, text)).toBe(true);
      }),
      { numRuns },
    );
  });

  test.for(["", "$SYS/x", "a+b", "a/#", "\0", "a\0", "\ud800", "x".repeat(MAX_NAME_BYTES + 1)])(
    "no channel: %j",
    (name) => {
      expect(isValidChannel(name)).toBe(false);
    },
  );

  test.for(["/", "a//b", "a/", " ", "a/$b", "é".repeat(32_767), "x".repeat(MAX_NAME_BYTES)])(
    "a channel",
    (name) => {
      expect(isValidChannel(name)).toBe(true);
    },
  );

  test.for(["", "a#", "a/#/b", "a+/b", "#/a", "\0", "\udc00", "/".repeat(512), "x".repeat(8193)])(
    "no filter: %j",
    (pattern) => {
      expect(isValidFilter(pattern)).toBe(false);
    },
  );

  test("a channel of 65,535 levels finds its filters, and one of 512 levels is found and removed", () => {
    const routes = new Routes<string>();
    const deep = `${"+/".repeat(511)}#`;
    routes.add(deep, "deep");
    routes.add("#", "all");
    const found: string[] = [];
    routes.match("/".repeat(65_535), (name) => found.push(name));
    expect(found).toEqual(["all", "deep"]);
    routes.remove(deep, "deep");
    routes.remove("#", "all");
    expect(routes).toEqual(new Routes<string>());
  });
});
