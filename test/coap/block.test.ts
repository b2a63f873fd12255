import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type CoapEndpoint, openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPlace, PLACES } from "../real/coap-places.ts";
import { coapClient, longText } from "../real/coap-programs.ts";
import { blockOf, blockValue, GET, OPTION, optionOf } from "../real/coap-wire.ts";

const BODY = longText(5_000);
const block1 = (options: readonly string[]): string | undefined =>
  options.find((each) => each.startsWith("Block1:"));
const block2 = (options: readonly string[]): string | undefined =>
  options.find((each) => each.startsWith("Block2:"));

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
    test.each([256, 64])(
      "TD_COAP_BLOCK_01: GET of 5,000 bytes, the size said early (-b %i)",
      async (size) => {
        await place.publish({ channel: `block/01/${size}`, text: BODY, retain: true });
        const got = await coapClient(place.port, `block/01/${size}`, { more: ["-b", String(size)] });
        expect(got.body.toString()).toBe(BODY);
        const sizes = got.trace.flatMap(({ options }) => block2(options)?.split("/").at(-1) ?? []);
        expect(new Set(sizes)).toEqual(new Set([String(size)]));
        const etags = got.trace.flatMap(({ options }) => options.filter((each) => each.startsWith("ETag:")));
        expect(new Set(etags).size).toBe(1);
      },
    );

    test("TD_COAP_BLOCK_02: GET of 5,000 bytes, the size said by the server", async () => {
      await place.publish({ channel: "block/02", text: BODY, retain: true });
      const got = await coapClient(place.port, "block/02");
      expect(got.body.toString()).toBe(BODY);
      expect(block2(got.trace[0]?.options ?? [])).toBeUndefined();
      expect(block2(got.options)).toMatch(/^Block2:\d+\/_\/\d+$/);
    });

    test.each([256, 64])("TD_COAP_BLOCK_03: PUT of 5,000 bytes is one message (-b %i)", async (size) => {
      const channel = `block/03/${size}`;
      const put = await coapClient(place.port, channel, {
        method: "put",
        body: BODY,
        more: ["-b", String(size)],
      });
      expect(put.code).toBe("2.01");
      expect(put.trace.filter(({ code }) => code === "2.31").length).toBeGreaterThan(10);
      // The last block's answer says which block it answers (RFC 7959 section 2.9).
      expect(block1(put.options)).toMatch(/^Block1:\d+\/_\/\d+$/);
      await expect.poll(() => seenOn(channel)).toMatchObject([{ text: BODY, qos: 1, retain: true }]);
    });

    test("TD_COAP_BLOCK_04: POST of 5,000 bytes is one event", async () => {
      const posted = await coapClient(place.port, "block/04", {
        method: "post",
        body: BODY,
        more: ["-b", "256"],
      });
      expect(posted.code[0]).toBe("2");
      await expect.poll(() => seenOn("block/04")).toMatchObject([{ text: BODY, retain: false }]);
    });

    test("a body without -b goes in blocks too, and NON does as well", async () => {
      const put = await coapClient(place.port, "block/non", { method: "put", body: BODY, more: ["-N"] });
      expect(put.code).toBe("2.01");
      const got = await coapClient(place.port, "block/non", { more: ["-N", "-b", "512"] });
      expect(got.body.toString()).toBe(BODY);
    });
  });

  test("TD_COAP_BLOCK_06: GET in blocks of 16 bytes, the least there are", async () => {
    const text = longText(1_000);
    await place.publish({ channel: "block/06", text, retain: true });
    const bodies: Buffer[] = [];
    for (let num = 0, more = true; more; num += 1) {
      const options = [[OPTION.block2, blockValue({ num, more: false, size: 16 })]] as const;
      const answer = await raw.ask({ code: GET, uri: "block/06", options });
      const block = blockOf(answer, OPTION.block2);
      expect([answer.code, block?.num, block?.size]).toEqual(["2.05", num, 16]);
      bodies.push(answer.payload);
      more = block?.more === true;
    }
    expect(Buffer.concat(bodies).toString()).toBe(text);
    expect(bodies).toHaveLength(63);
  });

  test("TD_COAP_BLOCK_06: Block2 of no bytes is block 0 of 16 bytes (RFC 7959 section 2.2)", async () => {
    await place.publish({ channel: "block/06/empty", text: longText(100), retain: true });
    const options = [[OPTION.block2, Buffer.alloc(0)]] as const;
    const answer = await raw.ask({ code: GET, uri: "block/06/empty", options });
    expect(answer.payload.toString()).toBe(longText(16));
  });

  test("a value that changes between two blocks is seen by its ETag: old and new never mix", async () => {
    await place.publish({ channel: "block/change", text: longText(2_000, "a"), retain: true });
    const ask = (num: number) =>
      raw.ask({
        code: GET,
        uri: "block/change",
        options: [[OPTION.block2, blockValue({ num, more: false, size: 512 })]],
      });
    const first = await ask(0);
    await place.publish({ channel: "block/change", text: longText(2_000, "b"), retain: true });
    const second = await ask(1);
    const isNewVersion = !(optionOf(second, OPTION.etag) ?? Buffer.alloc(0)).equals(
      optionOf(first, OPTION.etag) ?? Buffer.alloc(0),
    );
    const wanted = longText(2_000, isNewVersion ? "b" : "a").slice(512, 1_024);
    expect(second.payload.toString()).toBe(wanted);
  });
});
