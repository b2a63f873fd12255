import { expect, test } from "vitest";
import { type Config, parseConfig } from "../src/index.ts";

const parse = (text: string): Config =>
  parseConfig({ name: "gateway.yaml", text, folder: "/etc/nomq", env: {} });

test("keep says how long receipts and history are kept, with the defaults for what is left out", () => {
  expect(
    parse("keep: { receipts: 1h, history: [{ filter: a/+, for: 5m }, { filter: b, last: 0 }] }").keep,
  ).toEqual({
    receipts: 3_600_000,
    history: [
      { filter: "a/+", last: 10, forMs: 300_000 },
      { filter: "b", last: 0, forMs: 86_400_000 },
    ],
  });
  expect(parse("keep: { history: [] }").keep.history).toEqual([]);
  expect(() => parse("keep: { history: [{ last: 3 }] }")).toThrow("keep.history[0].filter");
  expect(() => parse("keep: { receipts: 3d }")).toThrow("keep.receipts: expected a duration");
});
