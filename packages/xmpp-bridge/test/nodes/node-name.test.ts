import { isValidChannel } from "@nomq/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { channelOfNode, nodeOfChannel, titleOfChannel } from "../../src/nodes/node-name.ts";

const runs = process.env["NOMQ_LONG"] ? 50_000 : 1_000;
const anyChannel = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 400 }),
    fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 300 }),
    fc.stringMatching(/^h:[0-9a-f]{64}$/),
    fc.constantFrom(
      " a",
      "a ",
      "a\tb",
      "b64:YQ",
      "a/b",
      "/",
      "ä".repeat(40),
      "a".repeat(242),
      "a".repeat(243),
    ),
  )
  .filter(isValidChannel);

test("a node tells its channel, with its title where it is a hash", () => {
  fc.assert(
    fc.property(anyChannel, (channel) => {
      const node = nodeOfChannel(channel);
      const told = channelOfNode(node);
      const title = titleOfChannel(channel);
      expect(title === undefined).toBe(told !== "title");
      expect(told === "title" ? channelOfNode(node, title) : told).toBe(channel);
      expect(title ?? "").not.toMatch(/\p{Cc}|^\s|\s$/u);
    }),
    { numRuns: runs },
  );
});

test("two channels never have one node", () => {
  fc.assert(
    fc.property(anyChannel, anyChannel, (one, other) => {
      fc.pre(one !== other);
      expect(nodeOfChannel(one)).not.toBe(nodeOfChannel(other));
    }),
    { numRuns: runs },
  );
});

test("a node's name fits into a file of Prosody, each special byte three characters long", () => {
  fc.assert(
    fc.property(anyChannel, (channel) => {
      const file = encodeURIComponent(nodeOfChannel(channel)).replace(/[^A-Za-z0-9%]/g, "%00");
      expect(file.length).toBeLessThanOrEqual(242);
    }),
    { numRuns: runs },
  );
});

test("names of 300 bytes, control characters and spaces at the ends become hashes", () => {
  for (const channel of ["x".repeat(300), "a\nb", "a\tb", " a", "a ", "ü".repeat(41)])
    expect(nodeOfChannel(channel)).toMatch(/^h:[0-9a-f]{64}$/);
  for (const channel of ["factory/line1/temperature", "x".repeat(242), "h:abc", "ü".repeat(40)])
    expect(nodeOfChannel(channel)).toBe(channel);
});

test("a channel that looks like a hash is hashed, so that nobody can speak for another", () => {
  const node = nodeOfChannel("x".repeat(300));
  expect(nodeOfChannel(node)).not.toBe(node);
  expect(channelOfNode(node, node)).toBeUndefined();
});

test("a title that has another hash, or no need of one, names no channel", () => {
  const node = nodeOfChannel("x".repeat(300));
  expect(channelOfNode(node, "x".repeat(301))).toBeUndefined();
  expect(channelOfNode(nodeOfChannel("y".repeat(300)), "short")).toBeUndefined();
});

test("nodes that cannot be channels are none", () => {
  for (const node of ["", "a+b", "a#", "$SYS/x", "a\0b"]) expect(channelOfNode(node)).toBeUndefined();
});
