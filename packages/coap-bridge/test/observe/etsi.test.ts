import { describe, expect, test } from "vitest";
import { decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { uintValue } from "../../src/wire/option-value.ts";
import { createNetworkWorld, type Device, type Got } from "./network-world.ts";

const OBSERVE = { observe: 0 as const, token: "obs" };
const notifications = ({ got }: Device): Got[] =>
  got.filter(({ token, type }) => token === "obs" && type !== "ACK");
const texts = (all: readonly Got[]): string[] => all.map(({ text }) => text);

describe("ETSI TD_COAP_OBS, over the message layer", () => {
  test.each([
    ["TD_COAP_OBS_01", "CON" as const],
    ["TD_COAP_OBS_02", "NON" as const],
  ])("%s: a resource observed with %s messages", async (_number, type) => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    const first = await ann.ask("get", "obs/x", { ...OBSERVE, type });
    expect(first).toMatchObject({ code: "2.05", text: "0", token: "obs" });
    let newest = first.observe ?? Number.NaN;
    for (const value of ["1", "2", "3"]) {
      await world.publish("obs/x", value);
      const told = notifications(ann).at(-1);
      expect(told).toMatchObject({ type, code: "2.05", text: value, token: "obs" });
      expect(told?.option(OptionNumber.maxAge)).toEqual(uintValue(60));
      expect(told?.option(OptionNumber.contentFormat)).toEqual(uintValue(0));
      expect(told?.observe).toBeGreaterThan(newest);
      newest = told?.observe ?? Number.NaN;
    }
    expect(notifications(ann).slice(type === "CON" ? 0 : 1)).toHaveLength(3);
  });

  test("TD_COAP_OBS_04: a client whose value got too old registers again with the same token, and is told once", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    await ann.ask("get", "obs/x", OBSERVE);
    await world.publish("obs/x", "1");
    expect(texts(notifications(ann))).toEqual(["1"]);
  });

  test("RFC 7252 §4.2: a registration that is transmitted again registers once and is answered the same", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    const first = await ann.ask("get", "obs/x", OBSERVE);
    await ann.again();
    const second = ann.got.at(-1);
    expect(second).toMatchObject({ messageId: first.messageId, observe: first.observe, text: "0" });
    await world.publish("obs/x", "1");
    expect(texts(notifications(ann))).toEqual(["1"]);
    expect(world.server.observers.counts()).toMatchObject({ registered: 1, observers: 1 });
  });

  test("TD_COAP_OBS_05: a client that is gone is noticed within MAX_TRANSMIT_WAIT, after 5 datagrams at most", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    const ben = world.device(2);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    await ann.ask("get", "obs/x", { ...OBSERVE, token: "two" });
    await ben.ask("get", "obs/x", OBSERVE);
    ann.manners = "silent";
    const before = world.sent.length;
    // Two changes a second.
    for (let half = 1; half <= 190; half += 1) {
      await world.publish("obs/x", `${half}`);
      await world.clock.advance(500);
    }
    const toAnn = world.sent.slice(before).filter(({ port }) => port === 1);
    expect(toAnn.length).toBeLessThanOrEqual(6);
    expect(world.server.observers.counts()).toMatchObject({ observers: 1, ended: { timeout: 2 } });
    expect(notifications(ben).at(-1)?.text).toBe("190");
  });

  test("a NON observer that is gone is noticed too, when a CON asks for it", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", { ...OBSERVE, type: "NON" });
    ann.manners = "silent";
    await world.clock.advance(240_000 + 93_000);
    expect(world.server.observers.counts()).toMatchObject({ observers: 0, ended: { timeout: 1 } });
    const asked = world.sent.filter(({ port, type }) => port === 1 && type === 0);
    expect(asked.length).toBeLessThanOrEqual(5);
    const after = world.sent.length;
    await world.publish("obs/x", "1");
    await world.clock.advance(300_000);
    expect(world.sent).toHaveLength(after);
  });

  test.each(["CON" as const, "NON" as const])(
    "TD_COAP_OBS_06: a reset of a %s notification cancels",
    async (type) => {
      await using world = await createNetworkWorld();
      const ann = world.device(1);
      await world.publish("obs/x", "0");
      await ann.ask("get", "obs/x", { ...OBSERVE, type });
      ann.manners = "reset";
      await world.publish("obs/x", "1");
      ann.take();
      await world.publish("obs/x", "2");
      await world.clock.advance(120_000);
      expect(ann.take()).toEqual([]);
      expect(world.server.observers.counts()).toMatchObject({ observers: 0, ended: { reset: 1 } });
    },
  );

  test("TD_COAP_OBS_07: DELETE ends with a 4.04 without Observe", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    expect((await world.device(2).ask("delete", "obs/x")).code).toBe("2.02");
    const last = notifications(ann).at(-1);
    expect(last).toMatchObject({ code: "4.04" });
    expect(last?.observe).toBeUndefined();
    expect(world.server.observers.counts().observers).toBe(0);
  });

  test("TD_COAP_OBS_08: another Content-Format ends with 4.06 without Observe", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    const json = [[OptionNumber.contentFormat, uintValue(50)]] as const;
    await world.device(2).ask("put", "obs/x", { payload: '{"a":1}', options: json });
    const last = notifications(ann).at(-1);
    expect(last).toMatchObject({ code: "4.06" });
    expect(last?.observe).toBeUndefined();
    expect(world.server.observers.counts().observers).toBe(0);
  });

  test("with Accept, JSON and CBOR are converted for the observer as long as nothing is lost", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", '{"a":1}', { contentType: "application/json" });
    const cbor = [[OptionNumber.accept, uintValue(60)]] as const;
    const first = await ann.ask("get", "obs/x", { ...OBSERVE, options: cbor });
    expect(first.option(OptionNumber.contentFormat)).toEqual(uintValue(60));
    await world.publish("obs/x", '{"a":2}', { contentType: "application/json" });
    expect(notifications(ann).at(-1)?.option(OptionNumber.contentFormat)).toEqual(uintValue(60));
    await world.publish("obs/x", Uint8Array.of(1, 2, 3), { contentType: "image/png" });
    expect(notifications(ann).at(-1)).toMatchObject({ code: "4.06", observe: undefined });
  });

  test("TD_COAP_OBS_09: a client that updates the resource is answered, and the observer is told the new value", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    const text = [[OptionNumber.contentFormat, uintValue(0)]] as const;
    // By another, and by the observer itself.
    expect((await world.device(2).ask("put", "obs/x", { payload: "1", options: text })).code).toBe("2.04");
    expect((await ann.ask("put", "obs/x", { payload: "2", options: text })).code).toBe("2.04");
    expect((await world.device(2).ask("post", "obs/x", { payload: "event", options: text })).code).toBe(
      "2.04",
    );
    expect(texts(notifications(ann))).toEqual(["1", "2", "event"]);
    expect((await world.device(2).ask("get", "obs/x")).text).toBe("2");
  });

  test("TD_COAP_OBS_10: a GET without Observe leaves the relation alone", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    expect((await ann.ask("get", "obs/x", { token: "other" })).observe).toBeUndefined();
    await world.publish("obs/x", "1");
    expect(texts(notifications(ann))).toEqual(["1"]);
  });

  test("TD_COAP_OBS_11: on a lossy network one notification is in flight, and the newest arrives", async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      await using world = await createNetworkWorld(seed);
      const devices = [1, 2, 3, 4].map((port) => world.device(port));
      await world.publish("obs/x", "0");
      for (const one of devices) await one.ask("get", "obs/x", OBSERVE);
      world.loss = 0.3;
      for (let value = 1; value <= 40; value += 1) {
        await world.publish("obs/x", `${value}`);
        await world.clock.advance(250);
      }
      world.loss = 0;
      await world.clock.advance(93_000);
      for (const one of devices) {
        const told = notifications(one);
        expect(told.at(-1)?.text).toBe("40");
        const numbers = told.map(({ observe }) => observe ?? -1);
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      }
      expect(world.server.observers.counts().observers).toBe(4);
    }
  });

  test("TD_COAP_OBS_12: GET with Observe = 1 is answered plainly and ends the relation", async () => {
    await using world = await createNetworkWorld();
    const ann = world.device(1);
    await world.publish("obs/x", "0");
    await ann.ask("get", "obs/x", OBSERVE);
    const answer = await ann.ask("get", "obs/x", { observe: 1, token: "obs" });
    expect(answer).toMatchObject({ code: "2.05", text: "0", observe: undefined });
    ann.take();
    await world.publish("obs/x", "1");
    await world.clock.advance(100_000);
    expect(ann.take()).toEqual([]);
  });

  test.each([
    ["TD_COAP_OBS_13", [5_000, 5_000]],
    ["TD_COAP_OBS_14", [5_000, 10, 3_000]],
  ])(
    "%s: large values are told with Block2 and Observe, and fetched version by version",
    async (_number, sizes) => {
      await using world = await createNetworkWorld();
      const ann = world.device(1);
      const octets = { contentType: "application/octet-stream" };
      await world.publish("obs/x", new Uint8Array(4_000), octets);
      const first = await ann.ask("get", "obs/x", OBSERVE);
      expect(first.observe).toBeDefined();
      expect(decodeBlock(first.option(OptionNumber.block2) ?? new Uint8Array(9))).toMatchObject({
        num: 0,
        more: true,
      });
      expect(await rest(ann, first)).toBe(Buffer.alloc(4_000).toString());
      for (const [at, size] of sizes.entries()) {
        const body = new Uint8Array(size).fill(65 + at);
        await world.publish("obs/x", body, octets);
        const told = notifications(ann).at(-1);
        expect(told?.observe).toBeDefined();
        expect(await rest(ann, told)).toBe(Buffer.from(body).toString());
      }
    },
  );
});

/** Fetches the blocks after the first, as RFC 7641 section 3.5 says: by GET without Observe. */
async function rest(device: Device, first: Got | undefined): Promise<string> {
  const block = first?.option(OptionNumber.block2);
  let text = first?.text ?? "";
  let more = block !== undefined && decodeBlock(block)?.more === true;
  for (let num = 1; more; num += 1) {
    const asked = encodeBlock({ num, more: false, szx: 6 });
    const next = await device.ask("get", "obs/x", { options: [[OptionNumber.block2, asked]] });
    expect(next.option(OptionNumber.etag)).toEqual(first?.option(OptionNumber.etag));
    // RFC 7959 section 3.4: only the first block is a notification.
    expect(next.observe).toBeUndefined();
    text += next.text;
    more = decodeBlock(next.option(OptionNumber.block2) ?? new Uint8Array(9))?.more === true;
  }
  return text;
}
