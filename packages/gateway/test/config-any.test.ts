import fc from "fast-check";
import { expect, test } from "vitest";
import { inspectConfig } from "../src/config/load.ts";

test("whatever stands in the file, the answer is a configuration or a named refusal", () => {
  const names = [
    "version",
    "data",
    "nomq",
    "mqtt",
    "coap",
    "log",
    "listen",
    "keys",
    "devices",
    "url",
    "address",
  ];
  const words = fc.constantFrom(
    "udp://[::]:1",
    "mqtt://a:99999",
    "1s",
    "#",
    "a/b",
    "::1",
    "127.0.0.1:1",
    "{",
    "%",
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ depthSize: "medium" }, words, fc.jsonValue(), tie("list"), tie("map")),
    list: fc.array(tie("tree"), { maxLength: 3 }),
    map: fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie("tree"), { maxKeys: 4 }),
  }));
  const numRuns = process.env["NOMQ_LONG"] ? 10_000 : 300;
  fc.assert(
    fc.property(fc.oneof(fc.string(), tree), (value) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      const result = inspectConfig({ name: "f", text, folder: "/nonexistent", env: {} });
      if (!result.ok) expect(result.faults.length).toBeGreaterThan(0);
    }),
    { numRuns, seed: 7 },
  );
});
