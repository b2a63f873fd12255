import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { ContentFormat } from "../../src/wire/content-format.ts";
import { serveHub } from "./serve-harness.ts";

const { accept, contentFormat, etag, ifMatch } = OptionNumber;
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
