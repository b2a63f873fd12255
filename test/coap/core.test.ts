import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type CoapEndpoint, openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPlace, PLACES } from "../real/coap-places.ts";
import { coapClient } from "../real/coap-programs.ts";
import { EMPTY, GET, OPTION, optionOf, POST, PUT } from "../real/coap-wire.ts";
import { isLong } from "../trust/seed.ts";

const TEXT = ["-t", "0"];
const JSON_FORMAT = ["-t", "50"];
const optionsNamed = (options: readonly string[], name: string): readonly string[] =>
  options.filter((each) => each.startsWith(`${name}:`));

// Every number of the list is looked for in a test's name (etsi.test.ts).
describe.each(PLACES)("$name", ({ open }) => {
  let place: CoapPlace;
  let raw: CoapEndpoint;
  beforeAll(async () => {
    place = await open();
    raw = await openCoapEndpoint(place.port);
  });
  afterAll(async () => {
    await raw[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });
  const seenOn = (channel: string) => place.seen.filter((message) => message.channel === channel);

  describeWithPeers("coap-client", ["libcoap3-bin"], () => {
    test("TD_COAP_CORE_01: GET, confirmable, reads what another protocol has retained", async () => {
      await place.publish({ channel: "core/01", text: "21.5", retain: true, contentType: "text/plain" });
      const got = await coapClient(place.port, "core/01");
      expect([got.code, got.body.toString()]).toEqual(["2.05", "21.5"]);
      // A busy machine may answer separately behind that.
      expect(got.trace.slice(0, 2).map(({ type }) => type)).toEqual(["CON", "ACK"]);
      expect(got.options).toContain("Content-Format:text/plain");
      expect(optionsNamed(got.options, "Max-Age")).toHaveLength(1);
      expect(optionsNamed(got.options, "ETag")).toHaveLength(1);
    });

    test("TD_COAP_CORE_02: DELETE, confirmable, clears the channel", async () => {
      await place.publish({ channel: "core/02", text: "on", retain: true });
      const deleted = await coapClient(place.port, "core/02", { method: "delete" });
      expect([deleted.code, deleted.trace[1]?.type]).toEqual(["2.02", "ACK"]);
      expect((await coapClient(place.port, "core/02")).code).toBe("4.04");
      await expect.poll(() => seenOn("core/02").at(-1)).toMatchObject({ text: "", retain: true, qos: 1 });
    });

    test("TD_COAP_CORE_03: PUT, confirmable, sets the state at QoS 1: 2.01 first, 2.04 later", async () => {
      const put = (body: string) => coapClient(place.port, "core/03", { method: "put", body, more: TEXT });
      expect([(await put("one")).code, (await put("two")).code]).toEqual(["2.01", "2.04"]);
      expect((await coapClient(place.port, "core/03")).body.toString()).toBe("two");
      await expect
        .poll(() => seenOn("core/03"))
        .toMatchObject([
          { text: "one", qos: 1, retain: true, contentType: expect.stringMatching(/^text\/plain/) },
          { text: "two", qos: 1, retain: true },
        ]);
    });

    test("TD_COAP_CORE_04: POST, confirmable, is an event that changes no state", async () => {
      await coapClient(place.port, "core/04", { method: "put", body: "state" });
      const posted = await coapClient(place.port, "core/04", { method: "post", body: "event" });
      expect([posted.code, posted.trace[1]?.type]).toEqual([expect.stringMatching(/^2\.0[14]$/), "ACK"]);
      expect((await coapClient(place.port, "core/04")).body.toString()).toBe("state");
      await expect
        .poll(() => seenOn("core/04").at(-1))
        .toMatchObject({ text: "event", qos: 1, retain: false });
    });

    test("TD_COAP_CORE_05: GET, non-confirmable", async () => {
      await place.publish({ channel: "core/05", text: "21.5", retain: true });
      const got = await coapClient(place.port, "core/05", { more: ["-N"] });
      expect([got.code, got.body.toString()]).toEqual(["2.05", "21.5"]);
      expect(got.trace.map(({ type }) => type)).toEqual(["NON", "NON"]);
    });

    test("TD_COAP_CORE_06: DELETE, non-confirmable", async () => {
      await place.publish({ channel: "core/06", text: "on", retain: true });
      const deleted = await coapClient(place.port, "core/06", { method: "delete", more: ["-N"] });
      expect([deleted.code, deleted.trace[1]?.type]).toEqual(["2.02", "NON"]);
      expect((await coapClient(place.port, "core/06")).code).toBe("4.04");
    });

    test("TD_COAP_CORE_07: PUT, non-confirmable, is QoS 0", async () => {
      const put = await coapClient(place.port, "core/07", { method: "put", body: "on", more: ["-N"] });
      expect([put.code, put.trace[1]?.type]).toEqual(["2.01", "NON"]);
      await expect.poll(() => seenOn("core/07")).toMatchObject([{ text: "on", qos: 0, retain: true }]);
    });

    test("TD_COAP_CORE_08: POST, non-confirmable, is QoS 0", async () => {
      const posted = await coapClient(place.port, "core/08", { method: "post", body: "on", more: ["-N"] });
      expect([posted.code[0], posted.trace[1]?.type]).toEqual(["2", "NON"]);
      await expect.poll(() => seenOn("core/08")).toMatchObject([{ text: "on", qos: 0, retain: false }]);
    });

    test("TD_COAP_CORE_10: a token comes back as it was, eight bytes too", async () => {
      await place.publish({ channel: "core/10", text: "21.5", retain: true });
      const got = await coapClient(place.port, "core/10", { more: ["-T", "eight by"] });
      const tokens = new Set(got.trace.filter(({ code }) => code !== EMPTY).map(({ token }) => token));
      expect([...tokens]).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
    });

    test("TD_COAP_CORE_13: several Uri-Path options are the levels of one channel", async () => {
      const put = await coapClient(place.port, "core/13/seg2/seg3", { method: "put", body: "deep" });
      expect(put.code).toBe("2.01");
      await expect.poll(() => seenOn("core/13/seg2/seg3")).toMatchObject([{ text: "deep" }]);
      expect((await coapClient(place.port, "core/13/seg2")).code).toBe("4.04");
    });

    test("TD_COAP_CORE_14: several Uri-Query options are all heard", async () => {
      const before = Date.now();
      const uri = "core/14?qos=2&ttl=60&priority=3";
      await coapClient(place.port, uri, { method: "put", body: "urgent" });
      await expect.poll(() => seenOn("core/14")).toMatchObject([{ text: "urgent", qos: 2, priority: 3 }]);
      const { expiresAt = 0 } = seenOn("core/14")[0] ?? {};
      expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000);
      const { options } = await coapClient(place.port, "core/14");
      const [, maxAge = ""] = /^Max-Age:(\d+)$/.exec(optionsNamed(options, "Max-Age")[0] ?? "") ?? [];
      expect(Number(maxAge)).toBeGreaterThan(0);
      expect(Number(maxAge)).toBeLessThanOrEqual(60);
    });

    test("TD_COAP_CORE_15: a lost request is repeated, answered and done once", async () => {
      const posted = await coapClient(place.port, "core/15", {
        method: "post",
        body: "on",
        more: ["-l", "1"],
      });
      expect(posted.code[0]).toBe("2");
      await expect.poll(() => seenOn("core/15")).toMatchObject([{ text: "on" }]);
    });

    test("a fifth of a client's datagrams lost: what is answered was done, and nothing twice", async () => {
      const posts = Array.from({ length: isLong ? 40 : 6 }, (_, at) => `${at}`);
      // One that is lost again and again is not waited for.
      const patience = isLong ? [] : ["-B", "20"];
      const post = (body: string) =>
        coapClient(place.port, "core/loss", { method: "post", body, more: ["-l", "20%", ...patience] });
      const codes = await Promise.all(posts.map(async (body) => (await post(body)).code));
      const answered = posts.filter((_, at) => codes[at]?.startsWith("2."));
      expect(answered.length).toBeGreaterThan(posts.length / 2);
      const seen = () => seenOn("core/loss").map(({ text }) => text);
      await expect.poll(seen).toEqual(expect.arrayContaining(answered));
      expect(new Set(seen()).size).toBe(seen().length);
    });

    test("TD_COAP_CORE_20: Accept is honoured where the value can be said so, else 4.06", async () => {
      await coapClient(place.port, "core/20", { method: "put", body: '{"t":21.5}', more: JSON_FORMAT });
      const json = await coapClient(place.port, "core/20", { more: ["-A", "50"] });
      expect([json.code, json.options]).toEqual([
        "2.05",
        expect.arrayContaining(["Content-Format:application/json"]),
      ]);
      expect((await coapClient(place.port, "core/20", { more: ["-A", "41"] })).code).toBe("4.06");
    });

    test("TD_COAP_CORE_21: an ETag that is still true saves the payload", async () => {
      await coapClient(place.port, "core/21", { method: "put", body: "one" });
      const etag = etagOf((await coapClient(place.port, "core/21")).options);
      const valid = await coapClient(place.port, "core/21", { more: ["-O", `4,${etag}`] });
      expect([valid.code, valid.body.length, etagOf(valid.options)]).toEqual(["2.03", 0, etag]);
      await coapClient(place.port, "core/21", { method: "put", body: "two" });
      const changed = await coapClient(place.port, "core/21", { more: ["-O", `4,${etag}`] });
      expect([changed.code, changed.body.toString()]).toEqual(["2.05", "two"]);
      expect(etagOf(changed.options)).not.toBe(etag);
    });

    test("TD_COAP_CORE_22: If-Match lets only who knows the state change it", async () => {
      await coapClient(place.port, "core/22", { method: "put", body: "one" });
      const etag = etagOf((await coapClient(place.port, "core/22")).options);
      const put = (body: string) =>
        coapClient(place.port, "core/22", { method: "put", body, more: ["-O", `1,${etag}`] });
      expect([(await put("two")).code, (await put("three")).code]).toEqual(["2.04", "4.12"]);
      expect((await coapClient(place.port, "core/22")).body.toString()).toBe("two");
    });

    test("TD_COAP_CORE_23: If-None-Match lets only the first create", async () => {
      const put = (body: string) =>
        coapClient(place.port, "core/23", { method: "put", body, more: ["-O", "5,"] });
      expect([(await put("one")).code, (await put("two")).code]).toEqual(["2.01", "4.12"]);
      expect((await coapClient(place.port, "core/23")).body.toString()).toBe("one");
    });
  });

  test("TD_COAP_CORE_12: no token, none back", async () => {
    const answer = await raw.ask({ code: GET, uri: "core/12", token: Buffer.alloc(0) });
    expect(answer).toMatchObject({ code: "4.04", token: Buffer.alloc(0) });
  });

  test("TD_COAP_CORE_15: a lost answer comes again byte for byte, and nothing is done twice", async () => {
    const { messageId, token } = raw.send({ code: POST, uri: "core/15/again", payload: "on" });
    const acks = () => raw.received.filter((packet) => packet.messageId === messageId);
    for (let copy = 1; copy <= 4; copy += 1) {
      await expect.poll(() => acks().length).toBe(copy);
      raw.send({ code: POST, uri: "core/15/again", payload: "on", messageId, token });
    }
    expect(new Set(acks().map((ack) => JSON.stringify(ack))).size).toBe(1);
    await place.publish({ channel: "core/15/again", text: "end" });
    await expect.poll(() => seenOn("core/15/again").map(({ text }) => text)).toEqual(["on", "end"]);
  });

  test("TD_COAP_CORE_31: a ping is answered with a reset of its message id", async () => {
    const ping = raw.send({ code: EMPTY });
    const pong = await raw.next(({ type, messageId }) => type === "RST" && messageId === ping.messageId);
    expect(pong).toMatchObject({ code: EMPTY, token: Buffer.alloc(0), options: [] });
  });

  test("RFC 7252 §3.1: a PUT with a cut option, or a marker without payload, is reset and not executed", async () => {
    // CON, PUT, no token; Uri-Path "core" and "cut", then an option of 5 bytes that has 2; then a bare marker.
    const path = "b4636f726503637574";
    for (const [messageId, rest] of [
      [0x1001, "056162"],
      [0x1002, "ff"],
    ] as const) {
      raw.sendRaw(Buffer.from(`4003${messageId.toString(16)}${path}${rest}`, "hex"));
      const reset = await raw.next((packet) => packet.messageId === messageId);
      expect([reset.type, reset.code]).toEqual(["RST", EMPTY]);
    }
    expect((await raw.ask({ code: GET, uri: "core/cut" })).code).toBe("4.04");
  });

  test("answers go to the address that asked, not to another with the same port", async () => {
    await using elsewhere = await openCoapEndpoint(place.port, "127.0.0.2");
    const got = await elsewhere.ask({ code: GET, uri: "core/elsewhere" });
    expect(got.code).toBe("4.04");
  });

  test("a slash inside a segment is never a level of its own", async () => {
    await raw.ask({ code: PUT, uri: "core/a/b", payload: "secret" });
    const options = [
      [OPTION.uriPath, Buffer.from("core")],
      [OPTION.uriPath, Buffer.from("a/b")],
    ] as const;
    const got = await raw.ask({ code: GET, options });
    expect(got.code[0]).toBe("4");
    const put = await raw.ask({ code: PUT, options, payload: "forged" });
    const { payload } = await raw.ask({ code: GET, uri: "core/a/b" });
    expect([put.code, payload.toString()]).not.toContain("forged");
  });

  test("a binary value and its ETag come back byte for byte", async () => {
    const payload = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    const options = [[OPTION.contentFormat, Buffer.of(42)]] as const;
    await raw.ask({ code: PUT, uri: "core/binary", options, payload });
    const got = await raw.ask({ code: GET, uri: "core/binary" });
    expect(got.payload.equals(payload)).toBe(true);
    const etag = optionOf(got, OPTION.etag) ?? Buffer.alloc(0);
    const again = await raw.ask({ code: GET, uri: "core/binary", options: [[OPTION.etag, etag]] });
    expect([again.code, again.payload.length]).toEqual(["2.03", 0]);
  });
});

/** As `-O` takes it: `0x0102`. */
function etagOf(options: readonly string[]): string {
  return optionsNamed(options, "ETag")[0]?.slice("ETag:".length) ?? "no ETag";
}
