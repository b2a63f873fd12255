import { filterMatches, isValidChannel, isValidFilter, type Principal } from "@nomq/core";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AccessRule, createAccessRules, filterCovers, filtersOverlap } from "../../src/access/index.ts";

const level = fc.constantFrom("a", "b", "");
const channel = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("/"))
  .filter(isValidChannel);
const filter = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "+", ""), { maxLength: 4 }), fc.constantFrom("", "#", "a"))
  .map(([levels, last]) => [...levels, ...(last === "" ? [] : [last])].join("/"))
  .filter(isValidFilter);

/** Every channel of up to five levels over the letters of the filters, and one letter that no filter has. */
const ALL: readonly string[] = (() => {
  const found: string[] = [];
  let longer = [""];
  for (let depth = 0; depth < 5; depth += 1) {
    longer = longer.flatMap((start) =>
      ["a", "b", "", "z"].map((next) => (depth === 0 ? next : `${start}/${next}`)),
    );
    found.push(...longer.filter(isValidChannel));
  }
  return found;
})();

describe("filters", () => {
  test.each([
    ["+", "/#", false],
    ["/+", "/#", true],
    ["+/+", "/#", true],
  ])("%s and %s overlap: %s", (one, other, overlap) => {
    expect([filtersOverlap(one, other), filtersOverlap(other, one)]).toEqual([overlap, overlap]);
  });

  test.each([
    ["+/#", "#", true],
    ["#", "+/#", true],
    ["/+/#", "/#", true],
    ["+/+/#", "/#", true],
    ["a/+/#", "a/#", false],
    ["+/+/#", "#", false],
  ])("%s covers %s: %s", (wide, narrow, covers) => {
    expect(filterCovers(wide, narrow)).toBe(covers);
  });

  test("overlap exactly when one channel matches both", () => {
    fc.assert(
      fc.property(filter, filter, (one, other) => {
        const shared = ALL.some((name) => filterMatches(one, name) && filterMatches(other, name));
        expect(filtersOverlap(one, other)).toBe(shared);
        expect(filtersOverlap(other, one)).toBe(shared);
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  test("cover exactly when every channel of the one matches the other", () => {
    fc.assert(
      fc.property(filter, filter, (wide, narrow) => {
        const all = ALL.every((name) => !filterMatches(narrow, name) || filterMatches(wide, name));
        expect(filterCovers(wide, narrow)).toBe(all);
      }),
      { numRuns: 300, seed: 12 },
    );
  });
});

describe("rules", () => {
  const rules: readonly AccessRule[] = [
    { who: "user:ann", publish: ["cmd/#"], subscribe: ["#"] },
    { who: "nomq:site", publish: ["factory/#"] },
    { who: "addr:192.168.0.0/16", subscribe: ["public/+"] },
    { who: "anonymous", subscribe: ["open"] },
    { who: "jid:Ann@Example.org", publish: ["home/#"] },
    { who: "*", subscribe: ["news/#"] },
  ];
  const who = (text: Principal): Principal => text;

  test("allow what one of them allows and nothing else", () => {
    const access = createAccessRules(rules);
    expect(access.may(who("user:ann"), "publish", "cmd/valve")).toBe(true);
    expect(access.may(who("user:ann"), "publish", "factory/x")).toBe(false);
    expect(access.may(who("user:bob"), "subscribe", "factory/x")).toBe(false);
    expect(access.may(who("user:bob"), "subscribe", "news/today")).toBe(true);
    expect(access.may(who("nomq:site"), "publish", "factory/x")).toBe(true);
    expect(access.may(who("nomq:other"), "publish", "factory/x")).toBe(false);
    expect(access.may(who("jid:ann@example.org"), "publish", "home/x")).toBe(true);
    expect(access.may(who("jid:ann@example.net"), "publish", "home/x")).toBe(false);
    expect(access.may(who("addr:192.168.4.5"), "subscribe", "public/a")).toBe(true);
    expect(access.may(who("addr:::ffff:192.168.4.5"), "subscribe", "public/a")).toBe(true);
    expect(access.may(who("addr:10.0.0.1"), "subscribe", "public/a")).toBe(false);
    expect(access.may(who("addr:10.0.0.1"), "subscribe", "open")).toBe(true);
    expect(access.may(who("user:addr:192.168.4.5"), "subscribe", "public/a")).toBe(false);
    expect(access.may(who("user:anonymous"), "subscribe", "open")).toBe(false);
  });

  test.each(["jid:ANN@example.org", "jid:\uff41nn@Example.ORG", "jid:ann@example.org"])(
    "%s is one account, however a rule writes it",
    (written) => {
      const access = createAccessRules([{ who: written, publish: ["a"] }]);
      expect(access.may("jid:ann@example.org", "publish", "a")).toBe(true);
      for (const other of ["jid:anne@example.org", "jid:example.org", "jid:"] as const)
        expect(access.may(other, "publish", "a")).toBe(false);
    },
  );

  test("explain themselves", () => {
    const access = createAccessRules(rules);
    expect(access.explain("user:ann", "subscribe", "news/today")).toEqual({
      allowed: true,
      rule: 0,
      filter: "#",
    });
    expect(access.explain("user:bob", "publish", "news/today")).toEqual({ allowed: false });
  });

  test("tell whether a subscription is allowed wholly, in part or not at all", () => {
    const access = createAccessRules(rules);
    expect(access.extent("user:ann", "subscribe", "a/#")).toBe("all");
    expect(access.extent("user:bob", "subscribe", "#")).toBe("some");
    expect(access.extent("user:bob", "subscribe", "factory/#")).toBe("none");
    expect(access.extent("user:bob", "subscribe", "news/+/x")).toBe("all");
  });

  test("hold from the moment they are replaced, also for what was asked before", () => {
    const access = createAccessRules(rules);
    let changes = 0;
    const end = access.onChange(() => {
      changes += 1;
    });
    expect(access.may("user:ann", "subscribe", "a")).toBe(true);
    access.replace([{ who: "user:ann", subscribe: ["b"] }]);
    expect(access.may("user:ann", "subscribe", "a")).toBe(false);
    end();
    access.replace(rules);
    expect(changes).toBe(1);
    expect(access.may("user:ann", "subscribe", "a")).toBe(true);
  });

  test("stay as they were when one of the new ones is wrong", () => {
    const access = createAccessRules(rules);
    expect(() => access.replace([{ who: "*", publish: ["#"] }, { who: "ann" }])).toThrow(
      /access\.rules\[1\]\.who/,
    );
    expect(access.may("user:bob", "publish", "x")).toBe(false);
  });

  test.each([["ann"], ["user:"], ["addr:300.1.1.1"], ["addr:10.0.0.0/33"], ["group:x"], [""]])(
    "refuse %j with the place and what to write",
    (wrong) => {
      expect(() => createAccessRules([{ who: wrong }])).toThrow(
        /^config-invalid: access\.rules\[0\]\.who: .*; write /,
      );
    },
  );

  test("refuse what is no filter", () => {
    expect(() => createAccessRules([{ who: "*", publish: ["a/#/b"] }])).toThrow(
      /access\.rules\[0\]: "a\/#\/b"/,
    );
  });

  test("answer as a plain reading of the list does, however often they are asked", () => {
    const someone = fc.constantFrom<Principal>(
      "user:ann",
      "user:bob",
      "anonymous",
      "addr:10.1.2.3",
      "nomq:site",
    );
    const anyRule = fc.record({
      who: fc.constantFrom("user:ann", "user:bob", "anonymous", "addr:10.0.0.0/8", "nomq:site", "*"),
      publish: fc.array(filter, { maxLength: 2 }),
      subscribe: fc.array(filter, { maxLength: 2 }),
    });
    const speaksOf = (rule: string, principal: Principal): boolean =>
      rule === "*" ||
      rule === principal ||
      (rule === "anonymous" && principal.startsWith("addr:")) ||
      (rule === "addr:10.0.0.0/8" && principal === "addr:10.1.2.3");
    fc.assert(
      fc.property(
        fc.array(anyRule, { maxLength: 5 }),
        fc.array(fc.tuple(someone, fc.constantFrom("publish" as const, "subscribe" as const), channel), {
          maxLength: 20,
        }),
        (list, questions) => {
          const access = createAccessRules(list);
          for (const [principal, action, name] of [...questions, ...questions]) {
            const plain = list.some(
              (rule) =>
                speaksOf(rule.who, principal) && rule[action].some((each) => filterMatches(each, name)),
            );
            expect(access.may(principal, action, name)).toBe(plain);
            expect(access.explain(principal, action, name).allowed).toBe(plain);
          }
        },
      ),
      { numRuns: 200, seed: 13 },
    );
  });
});

test("answers stay right past those remembered, for very many and very long names", () => {
  const rules = createAccessRules([{ who: "*", publish: ["mine/#"] }]);
  const asked = (who: Principal): boolean[] =>
    Array.from({ length: 60_000 }, (_, at) =>
      rules.may(who, "publish", `${at % 2 ? "mine" : "other"}/${at}`),
    );
  for (const who of ["user:one", "user:two"] as const) {
    expect(asked(who).filter((isAllowed) => isAllowed)).toHaveLength(30_000);
  }
  const long = "x".repeat(8000);
  expect([1, 2].map(() => rules.may("user:one", "publish", `mine/${long}`))).toEqual([true, true]);
  expect([1, 2].map(() => rules.may("user:one", "publish", `other/${long}`))).toEqual([false, false]);
});
