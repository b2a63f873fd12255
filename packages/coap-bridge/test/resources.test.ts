import { describe, expect, test } from "vitest";
import { OptionNumber } from "../src/wire/coap-message.ts";
import { ContentFormat } from "../src/wire/content-format.ts";
import { serveHub } from "./serve-harness.ts";

const { accept, contentFormat, etag, ifMatch, ifNoneMatch, maxAge } = OptionNumber;
const { text, json, cbor } = ContentFormat;

describe("GET", () => {
  test("answers the retained value with Content-Format, ETag and Max-Age", async () => {
    await using served = await serveHub();
    const draft = { channel: "a/b", payload: Buffer.from("21.5"), retain: true, contentType: "text/plain" };
    await served.port.publish({ ...draft, ttlMs: 90_000 }, "anonymous");
    const told = await served.ask("get", { path: "a/b" });
    expect(told).toMatchObject({ code: "2.05", text: "21.5", format: text, maxAge: 90 });
    expect(told.etag?.length).toBe(8);
  });

  test("says Max-Age always: what is left of a TTL, rounded up, or 60 s", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "lasts", payload: "1" });
    await served.ask("put", { path: "ends", payload: "1", query: ["ttl=10"] });
    expect((await served.ask("get", { path: "lasts" })).maxAge).toBe(60);
    await served.clock.advance(2_500);
    expect((await served.ask("get", { path: "ends" })).maxAge).toBe(8);
    await served.clock.advance(7_400);
    expect((await served.ask("get", { path: "ends" })).maxAge).toBe(1);
    await served.clock.advance(200);
    expect((await served.ask("get", { path: "ends" })).code).toBe("4.04");
  });

  test("is 4.04 without a value: never had, cleared, expired, an event only", async () => {
    await using served = await serveHub();
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
    await served.ask("post", { path: "a", payload: "event" });
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
    await served.ask("put", { path: "a", payload: "state" });
    await served.port.publish({ channel: "a", payload: new Uint8Array(), retain: true }, "anonymous");
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
  });

  test("RFC 7252 §5.10.6.2: an ETag that still holds is 2.03, with a new Max-Age and no payload", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "1", query: ["ttl=20"] });
    const first = await served.ask("get", { path: "a" });
    const has = first.etag ?? new Uint8Array();
    await served.clock.advance(5_000);
    const again = await served.ask("get", {
      path: "a",
      options: [
        [etag, "other"],
        [etag, has],
      ],
    });
    expect(again).toMatchObject({ code: "2.03", text: "", maxAge: 15, format: undefined, etag: has });
    await served.ask("put", { path: "a", payload: "1" });
    const changed = await served.ask("get", { path: "a", options: [[etag, has]] });
    expect(changed).toMatchObject({ code: "2.05", text: "1" });
  });

  test("no two values share an ETag, the same bytes twice neither", async () => {
    await using served = await serveHub();
    const seen = new Set<string>();
    for (const payload of ["1", "1", "2", "1"]) {
      await served.ask("put", { path: "a", payload });
      seen.add(Buffer.from((await served.ask("get", { path: "a" })).etag ?? "").toString("hex"));
    }
    expect(seen.size).toBe(4);
  });

  test("RFC 7252 §5.10.4: Accept gets the same format, a lossless conversion, or 4.06", async () => {
    await using served = await serveHub();
    const put = (path: string, payload: string | Uint8Array, format?: number) =>
      served.ask("put", { path, payload, options: format === undefined ? [] : [[contentFormat, format]] });
    const get = (path: string, format: number) => served.ask("get", { path, options: [[accept, format]] });
    await put("json", '{"t":21.5}', json);
    expect(await get("json", json)).toMatchObject({ code: "2.05", format: json, text: '{"t":21.5}' });
    const converted = await get("json", cbor);
    expect(converted).toMatchObject({ code: "2.05", format: cbor });
    expect(Buffer.from(converted.payload).toString("hex")).toBe("a16174f94d60");
    expect(await get("json", text)).toMatchObject({ code: "2.05", format: text });
    expect((await get("json", 41)).code).toBe("4.06");
    await put("cbor", Buffer.from("a1617443010203", "hex"), cbor);
    expect((await get("cbor", json)).code).toBe("4.06");
    await put("none", "plain");
    expect(await get("none", text)).toMatchObject({ code: "2.05", format: text, text: "plain" });
    expect((await get("none", json)).code).toBe("4.06");
    expect((await served.ask("get", { path: "none" })).format).toBeUndefined();
  });

  test("each format of a value has an ETag of its own, and either validates and matches", async () => {
    await using served = await serveHub();
    await served.ask("put", { path: "a", payload: "1", options: [[contentFormat, json]] });
    const plain = (await served.ask("get", { path: "a" })).etag ?? "";
    const asCbor = (await served.ask("get", { path: "a", options: [[accept, cbor]] })).etag ?? "";
    expect(asCbor).not.toEqual(plain);
    const valid = await served.ask("get", {
      path: "a",
      options: [
        [accept, cbor],
        [etag, asCbor],
      ],
    });
    expect(valid.code).toBe("2.03");
    const other = await served.ask("get", {
      path: "a",
      options: [
        [accept, cbor],
        [etag, plain],
      ],
    });
    expect(other.code).toBe("2.05");
    expect((await served.ask("put", { path: "a", payload: "2", options: [[ifMatch, asCbor]] })).code).toBe(
      "2.04",
    );
  });

  test("never answers a value older than what the hub has acknowledged anywhere", async () => {
    await using served = await serveHub();
    for (let number = 0; number < 50; number += 1) {
      const payload = Buffer.from(`${number}`);
      const receipt = await served.port.publish({ channel: "a", payload, retain: true, qos: 1 }, "anonymous");
      expect(receipt.at).not.toBe("refused");
      expect((await served.ask("get", { path: "a" })).text).toBe(`${number}`);
    }
  });
});

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

describe("methods and paths", () => {
  test.each(["fetch", "patch", "ipatch", 8, 31] as const)("RFC 7252 §5.8: %s is 4.05", async (method) => {
    await using served = await serveHub();
    expect((await served.ask(method, { path: "a", payload: "1" })).code).toBe("4.05");
  });

  test.each([
    [["$SYS", "x"], "4.04", "4.00"],
    [["a+b"], "4.04", "4.00"],
    [["a", "b/c"], "4.04", "4.00"],
    [["a\0"], "4.04", "4.00"],
    [["a", ".."], "4.04", "4.00"],
    [[Buffer.from([0xff])], "4.02", "4.02"],
  ])("%j names no channel: GET %s, PUT %s", async (path, get, put) => {
    await using served = await serveHub();
    expect((await served.ask("get", { path })).code).toBe(get);
    for (const method of ["put", "post", "delete"] as const) {
      expect((await served.ask(method, { path, payload: "1" })).code).toBe(put);
    }
    expect(served.counters.read().messagesRefused).toEqual({ "channel-invalid": 3 });
  });

  test("a path outside the prefix is no channel", async () => {
    await using served = await serveHub({ prefix: "site/ps" });
    expect((await served.ask("put", { path: "a", payload: "1" })).code).toBe("4.04");
    expect((await served.ask("put", { path: "site/ps/a", payload: "1" })).code).toBe("2.01");
    expect((await served.port.latest("a", "anonymous"))?.channel).toBe("a");
  });

  test("RFC 7252 §8.1: what changes something is not done for a whole group", async () => {
    await using served = await serveHub();
    expect((await served.ask("put", { path: "a", payload: "1", toGroup: true })).code).toBe("4.05");
    expect((await served.ask("get", { path: "a" })).code).toBe("4.04");
  });
});

describe("refusals", () => {
  test("who is not admitted gets 4.01, whatever it asks, and nothing is done", async () => {
    await using served = await serveHub();
    for (const method of ["get", "put", "post", "delete"] as const) {
      const told = await served.ask(method, { path: "a", payload: "1", from: "192.0.2.7" });
      expect(told).toMatchObject({ code: "4.01", text: "" });
    }
    expect(served.counters.read().clientsRefused).toEqual({ anonymous: 4 });
    expect(await served.port.latest("a", "anonymous")).toBeUndefined();
  });

  test("who has no right gets 4.03, on every method, with or without a value", async () => {
    const access = {
      may: (who: string, action: string, channel: string) =>
        who === "*" || (who === "addr:127.0.0.1" ? channel.startsWith(`${action}/`) : false),
    };
    await using served = await serveHub({ access });
    expect((await served.ask("put", { path: "publish/a", payload: "1" })).code).toBe("2.01");
    expect((await served.ask("get", { path: "publish/a" })).code).toBe("4.03");
    expect((await served.ask("get", { path: "publish/never" })).code).toBe("4.03");
    expect((await served.ask("get", { path: "subscribe/a" })).code).toBe("4.04");
    for (const method of ["put", "post", "delete"] as const) {
      expect((await served.ask(method, { path: "subscribe/a", payload: "1" })).code).toBe("4.03");
      const conditional = { path: "subscribe/a", payload: "1", options: [[ifMatch, ""]] as const };
      expect((await served.ask(method, conditional)).code).toBe("4.03");
    }
    expect(served.counters.read()).toMatchObject({
      readsRefused: { access: 2 },
      messagesRefused: { access: 6 },
    });
  });

  test("a body above maxPayload is 4.13 with Size1, the largest that is taken", async () => {
    await using served = await serveHub({ listener: { maxPayload: 10 } });
    const told = await served.ask("put", { path: "a", payload: "12345678901" });
    expect(told.code).toBe("4.13");
    expect(told.options).toContainEqual({ number: OptionNumber.size1, value: Uint8Array.of(10) });
    expect((await served.ask("put", { path: "a", payload: "1234567890" })).code).toBe("2.01");
  });

  test("a store that does not take it is 5.03 with Max-Age, and says no more", async () => {
    await using served = await serveHub();
    served.store.fail();
    const told = await served.ask("put", { path: "a", payload: "1" });
    expect(told.code).toBe("5.03");
    expect(told.maxAge).toBeGreaterThan(0);
    expect(served.told).toEqual([]);
    expect(served.counters.read().messagesRefused).toEqual({ "store-failed": 1 });
  });

  test("a full receiver is 5.03, and its name is not said", async () => {
    await using served = await serveHub();
    await served.port.attach({
      ...{ name: "secret-peer", as: "*", filters: ["#"], durable: true },
      outbox: { messages: 1, whenFull: "refuse" },
      deliver: () => new Promise(() => undefined),
    });
    await served.ask("post", { path: "a", payload: "1" });
    const told = await served.ask("post", { path: "a", payload: "2" });
    expect(told).toMatchObject({ code: "5.03", text: "a receiver is full" });
    expect(served.counters.read().messagesRefused).toEqual({ "outbox-full": 1 });
  });
});

describe("acknowledgement", () => {
  const slowReader = (served: Awaited<ReturnType<typeof serveHub>>) => {
    const gate = Promise.withResolvers<{ is: "delivered" }>();
    const attached = served.port.attach({
      ...{ name: "reader", as: "*", filters: ["#"], durable: true },
      deliver: () => gate.promise,
    });
    return { attached, answer: () => gate.resolve({ is: "delivered" }) };
  };
  const watch = (asked: Promise<{ code: string }>): { code: string } => {
    const seen = { code: "open" };
    void asked.then(({ code }) => {
      seen.code = code;
    });
    return seen;
  };

  test("by default waits for the store", async () => {
    await using served = await serveHub();
    served.store.hang();
    const seen = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(60_000);
    expect(seen.code).toBe("open");
    served.store.heal();
    await served.clock.advance(10);
    expect(seen.code).toBe("2.01");
  });

  test("`accepted` does not wait with an event, and does with a state: a GET must see what was acknowledged", async () => {
    await using served = await serveHub({ listener: { ack: "accepted" } });
    served.store.hang();
    const event = watch(served.ask("post", { path: "a", payload: "1" }));
    const state = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(10);
    expect([event.code, state.code]).toEqual(["2.04", "open"]);
    served.store.heal();
  });

  test("`delivered` waits for every receiver, and says 5.04 when its time is over", async () => {
    await using served = await serveHub({ listener: { ack: "delivered", ackTimeout: 3_000 } });
    const reader = slowReader(served);
    await reader.attached;
    const late = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(2_900);
    expect(late.code).toBe("open");
    await served.clock.advance(200);
    expect(late.code).toBe("5.04");
    const intime = watch(served.ask("put", { path: "b", payload: "1" }));
    await served.clock.advance(10);
    expect(intime.code).toBe("open");
    reader.answer();
    await served.clock.advance(10);
    expect(intime.code).toBe("2.01");
    expect((await served.ask("put", { path: "c", payload: "1", type: "non" })).code).toBe("2.01");
  });

  test("`delivered` with nobody there is answered at once", async () => {
    await using served = await serveHub({ listener: { ack: "delivered" } });
    expect((await served.ask("put", { path: "a", payload: "1" })).code).toBe("2.01");
  });
});
