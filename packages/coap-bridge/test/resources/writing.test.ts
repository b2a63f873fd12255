import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { ContentFormat } from "../../src/wire/content-format.ts";
import { serveHub } from "./serve-harness.ts";

const { contentFormat, ifMatch, ifNoneMatch, maxAge } = OptionNumber;
const { text } = ContentFormat;

describe("PUT", () => {
  test("sets the state: 2.01 first, 2.04 later, and 2.01 again after a DELETE", async () => {
    await using served = await serveHub();
    expect((await served.ask("put", { path: "a", payload: "1" })).code).toBe("2.01");
    expect((await served.ask("put", { path: "a", payload: "2" })).code).toBe("2.04");
    expect((await served.ask("get", { path: "a" })).text).toBe("2");
    expect((await served.ask("delete", { path: "a" })).code).toBe("2.02");
    expect((await served.ask("put", { path: "a", payload: "3" })).code).toBe("2.01");
  });

  test("tells observers, as POST does and DELETE in its own way, and nobody of what was refused", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "1" });
    await served.ask("post", { path: "a", payload: "2" });
    await served.ask("delete", { path: "a" });
    await served.ask("put", { path: "a", payload: "3", query: ["qos=9"] });
    expect(served.told).toEqual(["changed a 1", "changed a 2", "deleted a"]);
  });

  test("without payload clears the value and ends no observation", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "1" });
    expect((await served.ask("put", { path: "a" })).code).toBe("2.04");
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
    expect(served.told).toEqual(["changed a 1", "changed a "]);
  });

  test("keeps the Content-Format, also of a number nobody knows; 4.15 for those of experiments", async () => {
    await using served = await serveHub();
    for (const format of [text, 41, 110, 11_542, 9_999]) {
      await served.ask("put", { path: "a", payload: "1", options: [[contentFormat, format]] });
      expect((await served.ask("get", { path: "a" })).format).toBe(format);
    }
    for (const format of [65_000, 65_535, 10_001]) {
      const told = await served.ask("put", { path: "b", payload: "1", options: [[contentFormat, format]] });
      expect(told.code).toBe("4.15");
    }
    expect((await served.ask("get", { path: "b" })).code).toBe("4.04");
  });

  test.each([
    ["con", [], { qos: 1, retain: true }],
    ["non", [], { qos: 0, retain: true }],
    ["non", ["qos=2"], { qos: 2, retain: true }],
    ["con", ["qos=0", "retain=false", "priority=7"], { qos: 0, retain: false, priority: 7 }],
    ["con", ["retain=0", "ttl=5"], { qos: 1, retain: false, ttl: 5_000 }],
  ] as const)("%s with %j becomes %j", async (type, query, { qos, retain, ...more }) => {
    await using served = await serveHub();
    const got: unknown[] = [];
    await served.port.attach({
      ...{ name: "reader", as: "*", filters: ["#"], durable: false },
      async deliver(message) {
        got.push(message);
        return { is: "delivered" };
      },
    });
    await served.ask("put", { path: "a", payload: "1", type, query });
    await served.clock.advance(0);
    const ttl = "ttl" in more ? { expiresAt: served.clock.now() + more.ttl } : {};
    const priority = "priority" in more ? more.priority : 0;
    expect(got).toMatchObject([{ channel: "a", qos, retain, priority, origin: "coap:observers", ...ttl }]);
  });

  test("takes a Max-Age for its TTL where the query says none", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "1", options: [[maxAge, 30]] });
    expect((await served.ask("get", { path: "a" })).maxAge).toBe(30);
    await served.ask("put", { path: "a", payload: "1", options: [[maxAge, 30]], query: ["ttl=40"] });
    expect((await served.ask("get", { path: "a" })).maxAge).toBe(40);
  });

  test.each([
    ["qos=3", "4.00"],
    ["qos=", "4.00"],
    ["qos=01", "4.00"],
    ["retain=yes", "4.00"],
    ["ttl=-1", "4.00"],
    ["ttl=1.5", "4.00"],
    ["ttl=4294967296", "4.00"],
    ["ttl=1e3", "4.00"],
    ["priority=16", "4.00"],
    ["id=", "4.00"],
    ["retian=false", "4.00"],
    [`id=${"x".repeat(129)}`, "4.00"],
    [Buffer.from([0x71, 0xff]), "4.02"],
  ])("refuses the query %s with a word about it", async (query, code) => {
    await using served = await serveHub();
    const told = await served.ask("put", { path: "a", payload: "1", query: [query] });
    expect(told.code).toBe(code);
    expect(told.text.length).toBeGreaterThan(3);
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
    expect(served.counters.read().messagesRefused).toEqual({ "query-invalid": 1 });
  });

  test("refuses a parameter given twice", async () => {
    await using served = await serveHub();
    const told = await served.ask("put", { path: "a", payload: "1", query: ["qos=0", "qos=1"] });
    expect(told).toMatchObject({ code: "4.00", text: "a parameter is given twice" });
  });
});

describe("conditions (RFC 7252 §5.10.8)", () => {
  test("If-None-Match lets a value be made and none be replaced", async () => {
    await using served = await serveHub();
    const put = () => served.ask("put", { path: "a", payload: "1", options: [[ifNoneMatch, ""]] });
    expect((await put()).code).toBe("2.01");
    expect((await put()).code).toBe("4.12");
    await served.ask("delete", { path: "a" });
    expect((await put()).code).toBe("2.01");
    expect(served.counters.read().messagesRefused).toEqual({ precondition: 1 });
  });

  test("If-Match: one of its ETags, an empty one for whatever is there, never what is not there", async () => {
    await using served = await serveHub();
    const put = (...etags: (Uint8Array | string)[]) =>
      served.ask("put", { path: "a", payload: "n", options: etags.map((one) => [ifMatch, one] as const) });
    expect((await put("")).code).toBe("4.12");
    await served.ask("put", { path: "a", payload: "1" });
    const has = (await served.ask("get", { path: "a" })).etag ?? "";
    expect((await put("wrong")).code).toBe("4.12");
    expect((await served.ask("get", { path: "a" })).text).toBe("1");
    expect((await put("wrong", has)).code).toBe("2.04");
    expect((await put(has)).code).toBe("4.12");
    expect((await put("")).code).toBe("2.04");
    expect((await served.ask("delete", { path: "a", options: [[ifMatch, has]] })).code).toBe("4.12");
    expect((await served.ask("get", { path: "a", options: [[ifMatch, has]] })).code).toBe("4.12");
    expect((await served.ask("delete", { path: "a", options: [[ifMatch, ""]] })).code).toBe("2.02");
  });

  test("of many at once with one ETag, exactly one is done", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "0" });
    for (let round = 0; round < 10; round += 1) {
      const has = (await served.ask("get", { path: "a" })).etag ?? "";
      const codes = await Promise.all(
        Array.from({ length: 8 }, async (_, at) => {
          const conditional = at % 2 === 0 ? ifMatch : undefined;
          const options = conditional === undefined ? [] : [[conditional, has] as const];
          const told = await served.ask(at === 5 ? "delete" : "put", {
            path: "a",
            payload: `${at}`,
            options,
          });
          return conditional === undefined ? "-" : told.code;
        }),
      );
      expect(codes.filter((code) => code === "2.04").length, codes.join()).toBe(1);
      await served.ask("put", { path: "a", payload: "0" });
    }
  });

  test("a conditional PUT sees what an earlier PUT has not stored yet", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "old" });
    const has = (await served.ask("get", { path: "a" })).etag ?? "";
    served.store.hang();
    const first = served.ask("put", { path: "a", payload: "newer" });
    const second = served.ask("put", { path: "a", payload: "lost", options: [[ifMatch, has]] });
    const elsewhere = served.ask("put", { path: "b", payload: "other" });
    await served.clock.advance(10);
    served.store.heal();
    expect((await first).code).toBe("2.04");
    expect((await second).code).toBe("4.12");
    expect((await elsewhere).code).toBe("2.01");
    expect((await served.ask("get", { path: "a" })).text).toBe("newer");
  });
});

describe("POST", () => {
  test("is an event: 2.04, and what GET answers does not change", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "state" });
    const before = await served.ask("get", { path: "a" });
    expect((await served.ask("post", { path: "a", payload: "event" })).code).toBe("2.04");
    expect(await served.ask("get", { path: "a" })).toEqual(before);
  });

  test("that is retained says where the value is, and how to observe it likewise (TD_COAP_CORE_18, 19)", async () => {
    await using served = await serveHub();
    const told = await served.ask("post", {
      path: "a/b/c",
      payload: "1",
      query: ["retain=true", "qos=2", "priority=3"],
    });
    expect(told.code).toBe("2.01");
    const texts = (number: number) =>
      told.options.filter((one) => one.number === number).map(({ value }) => Buffer.from(value).toString());
    expect(texts(OptionNumber.locationPath)).toEqual(["a", "b", "c"]);
    expect(texts(OptionNumber.locationQuery)).toEqual(["qos=2", "priority=3"]);
  });
});

describe("one transfer is one message", () => {
  test("`?id=`: the same id again, from elsewhere too, routes nothing", async () => {
    await using served = await serveHub();
    const post = (from: string, payload: string) =>
      served.ask("post", { path: "a", payload, query: ["id=x1"], from });
    const got: string[] = [];
    await served.port.attach({
      ...{ name: "reader", as: "*", filters: ["#"], durable: false },
      async deliver({ payload }) {
        got.push(Buffer.from(payload).toString());
        return { is: "delivered" };
      },
    });
    expect((await post("127.0.0.1", "1")).code).toBe("2.04");
    expect((await post("127.0.0.2", "1")).code).toBe("2.04");
    await served.ask("post", { path: "b", payload: "2", query: ["id=x1"] });
    await served.clock.advance(0);
    expect(got).toEqual(["1", "2"]);
    expect(served.told).toEqual(["changed a 1", "changed b 2"]);
  });

  test("QoS 2: endpoint and message id name it for EXCHANGE_LIFETIME, and another message after it", async () => {
    await using served = await serveHub();
    const post = () => served.ask("post", { path: "a", payload: "1", query: ["qos=2"], messageId: 77 });
    const got: number[] = [];
    await served.port.attach({
      ...{ name: "reader", as: "*", filters: ["#"], durable: false },
      async deliver({ seq }) {
        got.push(seq);
        return { is: "delivered" };
      },
    });
    await post();
    await post();
    await served.clock.advance(246_000);
    await post();
    expect(got.length).toBe(1);
    await served.clock.advance(2_000);
    await post();
    await served.clock.advance(0);
    expect(got.length).toBe(2);
  });
});
