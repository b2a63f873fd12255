import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clientSettings } from "../../src/client/client-options.ts";
import { parseCoapUrl } from "../../src/client/coap-url.ts";

const parts = (url: string): unknown => {
  const { host, port, path, query, url: whole, shown } = parseCoapUrl(url, "coap.observe[0].url");
  const texts = (values: readonly Uint8Array[]): string[] =>
    values.map((value) => Buffer.from(value).toString());
  return { host, port, path: texts(path), query: texts(query), whole, shown };
};

// Made before the tests: fast-check computes a table of all characters first, a second that no test's limit is for.
const text = fc.string({ unit: "binary", maxLength: 20 }).filter((each) => each !== "." && each !== "..");

describe("URLs of resources (RFC 7252 §6.4)", () => {
  test.each([
    ["coap://10.0.0.9", "10.0.0.9", 5683, [], []],
    ["coap://10.0.0.9/", "10.0.0.9", 5683, [], []],
    ["COAP://Host.Example:61616/a//b/?q", "host.example", 61_616, ["a", "", "b", ""], ["q"]],
    ["coap://[2001:DB8::1]:5684/x?a=1&b=%26", "2001:db8::1", 5684, ["x"], ["a=1", "b=&"]],
    ["coap://[fe80::1%25lo]/%E2%82%AC%2F", "fe80::1%lo", 5683, ["€/"], []],
    ["coap://[::ffff:10.0.0.9]/t", "10.0.0.9", 5683, ["t"], []],
  ])("%s", (url, host, port, path, query) => {
    expect(parts(url)).toMatchObject({ host, port, path, query });
  });

  test.each([
    "coap://",
    "coap:///x",
    "http://10.0.0.9/",
    "coap://10.0.0.9:0/",
    "coap://10.0.0.9:70000/",
    "coap://user@10.0.0.9/",
    "coap://10.0.0.9/#part",
    "coap://10.0.0.9/a/../b",
    "coap://10.0.0.9/%zz",
    "coap://10.0.0.9/%ff",
    "coap://[10.0.0.9]/",
    "coap://224.0.1.187/",
    "coap://[ff02::fd]/",
    "coap://-x/",
    `coap://10.0.0.9/${"x".repeat(256)}`,
    `coap://10.0.0.9/${"x".repeat(200)}/${"y".repeat(255)}?${"z".repeat(250)}`,
  ])("%s is refused, with where it stands", (url) => {
    expect(() => parts(url)).toThrow(/^config-invalid: coap\.observe\[0\]\.url: /);
  });

  test("schemes of later versions are not available yet", () => {
    for (const url of ["coaps://h/", "coap+tcp://h/"]) {
      expect(() => parts(url)).toThrow(/^not-available-yet/);
    }
  });

  test("the canonical URL names the same options", () => {
    const seeded = { seed: 6, numRuns: process.env["NOMQ_LONG"] ? 20_000 : 300 };
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), fc.array(text, { maxLength: 3 }), (path, query) => {
        fc.pre([...path, ...query].every((each) => each.isWellFormed()));
        const tail = query.length === 0 ? "" : `?${query.map(encodeURIComponent).join("&")}`;
        const url = `coap://h/${path.map(encodeURIComponent).join("/")}${tail}`;
        const once = parseCoapUrl(url, "x");
        expect(parseCoapUrl(once.url, "x")).toEqual(once);
        const isRoot = path.length === 0 || (path.length === 1 && path[0] === "");
        expect(once.path.map((each) => Buffer.from(each).toString())).toEqual(isRoot ? [] : path);
      }),
      seeded,
    );
  });
});

describe("options", () => {
  const url = "coap://10.0.0.9/t";
  test.each([
    [{ observe: [{ url, channel: "a+b" }] }, "coap.observe[0].channel"],
    [{ observe: [{ url, channel: "a", qos: 3 as 2 }] }, "coap.observe[0].qos"],
    [{ poll: [{ url, channel: "a", every: 1 }] }, "coap.poll[0].every"],
    [{ poll: [{ url, channel: "a", every: Number.NaN }] }, "coap.poll[0].every"],
    [{ send: [{ name: "a b", from: "a", url }] }, "coap.send[0].name"],
    [{ send: [{ name: "a", from: "a/#/b", url }] }, "coap.send[0].from"],
    [{ send: [{ name: "a", from: "a", url, method: "get" as "put" }] }, "coap.send[0].method"],
    [
      {
        observe: [{ url, channel: "a" }],
        poll: [{ url, channel: "a", every: 1_000 }],
      },
      "two sensors have the channel",
    ],
    [
      {
        send: [
          { name: "a", from: "a", url },
          { name: "a", from: "b", url },
        ],
      },
      "two entries have the name a",
    ],
  ])("%j is refused: %s", (options, why) => {
    expect(() => clientSettings(options)).toThrow(why);
  });
});
