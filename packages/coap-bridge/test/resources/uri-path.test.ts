import { isValidChannel } from "@nomq/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CoapOption, OptionNumber } from "../../src/wire/coap-message.ts";
import { createUriPaths } from "../../src/wire/uri-path.ts";

const path = (...levels: readonly (string | Uint8Array)[]): CoapOption[] =>
  levels.map((level) => ({
    number: OptionNumber.uriPath,
    value: typeof level === "string" ? Buffer.from(level) : level,
  }));

const paths = createUriPaths();

describe("Uri-Path to channel", () => {
  test.each([
    [["a"], "a"],
    [["factory", "line 1", "température"], "factory/line 1/température"],
    [["", "a"], "/a"],
    [["a", ""], "a/"],
    [["a", "", "b"], "a//b"],
    [["", ""], "/"],
    [["a%2Fb"], "a%2Fb"],
    [["\uFEFFa"], "\uFEFFa"],
  ])("%j is the channel %j", (levels, channel) => {
    expect(paths.target(path(...levels))).toEqual({ is: "channel", channel });
  });

  test.each([
    ["a slash inside a segment is never joined", ["a", "b/c"], "slash-in-segment"],
    ["RFC 7252 §5.10.1: no `.`", ["a", "."], "dot-segment"],
    ["RFC 7252 §5.10.1: no `..`", ["a", "..", "b"], "dot-segment"],
    ["a first level that starts with $", ["$SYS", "x"], "channel-invalid"],
    ["a plus", ["a+b"], "channel-invalid"],
    ["a hash", ["a", "#"], "channel-invalid"],
    ["a NUL", ["a\0b"], "channel-invalid"],
    ["one empty segment", [""], "channel-invalid"],
    ["RFC 7252 §5.4.3: bytes that are no UTF-8", [Buffer.from([0x61, 0xff])], "not-utf8"],
    ["an encoded surrogate", [Buffer.from([0xed, 0xa0, 0x80])], "not-utf8"],
    ["an overlong slash", [Buffer.from([0xc0, 0xaf])], "not-utf8"],
  ])("refuses %s", (_, levels, fault) => {
    expect(paths.target(path(...levels))).toEqual({ is: "refused", fault });
  });

  test("the root and /.well-known are no channels", () => {
    expect(paths.target([])).toEqual({ is: "elsewhere", segments: [] });
    const segments = [".well-known", "core"];
    expect(paths.target(path(...segments))).toEqual({ is: "elsewhere", segments });
    expect(paths.segments(".well-known/core")).toBeUndefined();
  });

  test("options of other numbers are not part of it", () => {
    const observe = { number: OptionNumber.observe, value: new Uint8Array() };
    const query = { number: OptionNumber.uriQuery, value: Buffer.from("qos=1") };
    expect(paths.target([observe, ...path("a", "b"), query])).toEqual({ is: "channel", channel: "a/b" });
  });
});

describe("a prefix", () => {
  const prefixed = createUriPaths("/site/ps/");

  test("stands in front of every channel and is taken off again", () => {
    expect(prefixed.target(path("site", "ps", "a", "b"))).toEqual({ is: "channel", channel: "a/b" });
    expect(prefixed.segments("a/b")).toEqual(["site", "ps", "a", "b"].map((level) => Buffer.from(level)));
    expect(prefixed.href("a b/ä")).toBe("/site/ps/a%20b/%C3%A4");
  });

  test("what is not under it is elsewhere, the prefix itself too", () => {
    for (const levels of [["a"], ["site"], ["site", "ps"], ["sit", "eps", "a"], ["site/ps", "a"]]) {
      expect(prefixed.target(path(...levels))).toEqual({ is: "elsewhere", segments: levels });
    }
  });

  test("makes a channel called .well-known reachable", () => {
    const segments = prefixed.segments(".well-known/core") ?? [];
    expect(prefixed.target(path(...segments))).toEqual({ is: "channel", channel: ".well-known/core" });
  });
});

describe("channel to Uri-Path", () => {
  const level = fc.oneof(
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom("", ".", "..", "a", "$x"),
  );
  const channels = fc.array(level, { minLength: 1, maxLength: 6 }).map((levels) => levels.join("/"));

  test("every channel that has a path comes back from it", () => {
    fc.assert(
      fc.property(channels, (channel) => {
        const segments = paths.segments(channel);
        fc.pre(segments !== undefined);
        expect(paths.target(path(...segments))).toEqual({ is: "channel", channel });
      }),
    );
  });

  test("no two paths are one channel", () => {
    fc.assert(
      fc.property(fc.array(level, { maxLength: 6 }), (levels) => {
        const found = paths.target(path(...levels));
        fc.pre(found.is === "channel");
        expect(isValidChannel(found.channel)).toBe(true);
        expect(paths.segments(found.channel)).toEqual(levels.map((one) => Buffer.from(one)));
      }),
    );
  });

  test("RFC 7252 §5.10: a level of more than 255 bytes has no path", () => {
    expect(paths.segments("é".repeat(127))).toBeDefined();
    expect(paths.segments("é".repeat(128))).toBeUndefined();
    expect(paths.href("a/..")).toBeUndefined();
  });
});
