import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { transferKey } from "../../src/blocks/transfer-key.ts";
import { Method } from "../../src/wire/code.ts";

const from = { host: "127.0.0.1", port: 1, key: "udp 127.0.0.1 1", via: "udp", proven: true };
const keyOf = (query: readonly string[]): string =>
  transferKey({
    from,
    code: Method.get,
    options: query.map((each) => ({ number: 15, value: Buffer.from(each) })),
  });

describe("RFC 7959 §2.5: which blocks belong together", () => {
  test("a query that fills a datagram makes no key of that size: thousands of keys are held", () => {
    expect(keyOf(Array.from({ length: 240 }, () => "q".repeat(250))).length).toBeLessThan(512);
  });

  test("other options, another key, whatever their length", () => {
    const query = fc.array(fc.string({ maxLength: 255 }), { maxLength: 6 });
    fc.assert(
      fc.property(query, query, (one, other) => {
        expect(keyOf(one) === keyOf(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
    const long = Array.from({ length: 3 }, () => "q".repeat(250));
    expect(keyOf([...long, "a"])).not.toBe(keyOf([...long, "b"]));
    expect(keyOf([`${long.join("")}`])).not.toBe(keyOf(long));
  });
});
