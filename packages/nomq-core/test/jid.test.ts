import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bareJid } from "../src/index.ts";

describe("the JID of an account (RFC 7622 section 3)", () => {
  test.each([
    ["ann@example.org", "ann@example.org"],
    ["Ann@Example.ORG/Phone", "ann@example.org"],
    ["ann@example.org/a/b@c", "ann@example.org"],
    ["pubsub.Example.org", "pubsub.example.org"],
    ["JÜRGEN@example.org", "jürgen@example.org"],
    ["ju\u0308rgen@example.org", "jürgen@example.org"],
    ["\uff41\uff4e\uff4e@example.org", "ann@example.org"],
    ["\u212aim@example.org", "kim@example.org"],
    ["ΟΔΟΣ@example.org", "οδοσ@example.org"],
    ["a.b-c_d+e\\20f@example.org", "a.b-c_d+e\\20f@example.org"],
  ])("%s is %s", (written, is) => {
    expect(bareJid(written)).toBe(is);
  });

  test.each([
    "",
    "/phone",
    "@example.org",
    "ann@",
    "ann@b@example.org",
    "ann @example.org",
    "a\u00adnn@example.org",
    "an\u200bn@example.org",
    "ann\n@example.org",
    "ann:b@example.org",
    "ann@exam\u2100ple.org",
    "ann@\u0000",
    `${"a".repeat(1_024)}@example.org`,
  ])("%j is none", (written) => {
    expect(bareJid(written)).toBeUndefined();
  });

  test("what has been mapped stays as it is, and no other account becomes it by a resource", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (name, resource) => {
        const bare = bareJid(`${name}@example.org`);
        if (bare === undefined) return;
        expect(bareJid(bare)).toBe(bare);
        expect(bareJid(`${name}@EXAMPLE.org/${resource}`)).toBe(name.includes("/") ? bareJid(name) : bare);
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 100_000 : 1_000 },
    );
  });
});
