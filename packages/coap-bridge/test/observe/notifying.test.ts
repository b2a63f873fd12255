import { describe, expect, test } from "vitest";
import type { Show } from "../../src/observe/observers.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { ANN, BEN, createWorld, read, texts, toyShow, type World } from "./world.ts";

const EVENT = { retain: false };
const balanced = (world: World): boolean => {
  const { accepted, delivered, coalesced, expired, dropped, pending } = world.observers.counts().ledger;
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  return accepted === delivered + coalesced + expired + lost + pending;
};

describe("a CON observer", () => {
  test("RFC 7641 §4.5.1: has one notification in flight, and then the newest", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    for (let value = 1; value <= 20; value += 1) await world.publish("x", `${value}`);
    const [first, ...others] = await world.take();
    expect(others).toEqual([]);
    first?.acknowledge();
    const [last] = await world.take();
    expect(read(last ?? { code: 0 }).text).toBe("20");
    last?.acknowledge();
    expect(await world.take()).toEqual([]);
    expect(world.observers.counts().ledger).toMatchObject({
      accepted: 20,
      delivered: 2,
      coalesced: 18,
      pending: 0,
    });
  });

  test("RFC 7641 §4.5.2: a repetition says the newest under a message id of its own; the same is repeated as it was", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.publish("x", "1");
    world.net.repeat();
    await world.publish("x", "2");
    world.net.repeat();
    const heard = await world.take();
    expect(heard.map((one) => read(one).text)).toEqual(["1", "1", "2"]);
    expect(heard[0]?.messageId).toBe(heard[1]?.messageId);
    expect(heard[2]?.messageId).not.toBe(heard[1]?.messageId);
    heard[2]?.acknowledge();
    expect(await world.take()).toEqual([]);
    expect(world.observers.counts().ledger).toMatchObject({ accepted: 2, delivered: 1, coalesced: 1 });
  });

  test("that is silent delays nobody: others hear every value, and the hub has delivered", async () => {
    await using world = await createWorld();
    await world.register(ANN, "silent", "x");
    await world.register(BEN, "b", "x");
    for (const value of ["1", "2", "3"]) {
      const receipt = await world.hub
        .port("other")
        .publish({ channel: "x", payload: new TextEncoder().encode(value), qos: 1, retain: true }, "*", {
          until: "delivered",
        });
      expect(receipt.at).toBe("delivered");
      const heard = await world.take();
      const others = heard.filter(({ to }) => to === BEN);
      expect(texts(others.map(read))).toEqual([value]);
      for (const one of others) one.acknowledge();
    }
  });
});

describe("an observer that asked for every message", () => {
  test("is told each, one at a time and in order", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x", { all: true });
    for (let value = 1; value <= 5; value += 1) await world.publish("x", `${value}`, EVENT);
    expect(world.net.open()).toBe(1);
    expect(texts(await world.hear())).toEqual(["1", "2", "3", "4", "5"]);
    expect(world.observers.counts().ledger).toMatchObject({ accepted: 5, delivered: 5 });
  });

  test("loses the oldest where too many wait, which is counted", async () => {
    await using world = await createWorld({ limits: { queue: 3 } });
    await world.register(ANN, "a", "x", { all: true });
    for (let value = 1; value <= 8; value += 1) await world.publish("x", `${value}`);
    world.net.repeat();
    expect(texts(await world.hear())).toEqual(["1", "1", "6", "7", "8"]);
    expect(world.observers.counts().ledger).toMatchObject({
      delivered: 4,
      dropped: { overflow: 4 },
      pending: 0,
    });
  });

  test("with NON is told each at once", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x", { all: true, confirmable: false });
    for (let value = 1; value <= 3; value += 1) await world.publish("x", `${value}`);
    expect(texts((await world.take()).map(read))).toEqual(["1", "2", "3"]);
  });
});

describe("what a channel says", () => {
  test("an event is told and does not change what a GET answers", async () => {
    await using world = await createWorld();
    await world.put("x", "state");
    await world.register(ANN, "a", "x");
    await world.put("x", "event", EVENT);
    await world.publish("x", "mqtt event", EVENT);
    expect(texts(await world.hear()).at(-1)).toBe("mqtt event");
    // Who comes later, and who is told again, hears the state.
    expect((await world.register(BEN, "b", "x")).text).toBe("state");
    await world.clock.advance(60_000);
    expect(texts(await world.hear())).toEqual(["state", "state"]);
  });

  test("a cleared value is an empty 2.05, and the relation goes on", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.publish("x", "");
    const [cleared] = await world.hear();
    expect(cleared).toMatchObject({ code: Response.content, text: "" });
    expect(cleared?.observe).toBeDefined();
    await world.publish("x", "2");
    expect(texts(await world.hear())).toEqual(["2"]);
  });

  test("TD_COAP_OBS_07: DELETE is a 4.04 without Observe to every observer, and ends them", async () => {
    await using world = await createWorld();
    await world.put("x", "1");
    await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "x", { confirmable: false });
    await world.remove("x");
    const heard = await world.take();
    expect(heard.map(read)).toEqual([
      { code: Response.notFound, text: "" },
      { code: Response.notFound, text: "" },
    ]);
    // Confirmable for both: nobody may miss it.
    expect(heard.every(({ type }) => type === MessageType.confirmable)).toBe(true);
    world.net.repeat();
    for (const one of await world.take()) one.acknowledge();
    await world.put("x", "2");
    expect(await world.take()).toEqual([]);
    expect(world.observers.counts()).toMatchObject({ observers: 0, channels: 0, ended: { deleted: 2 } });
  });

  test("who registers again with the token of a relation that is ending is not told that end", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.put("x", "1");
    await world.remove("x");
    await world.put("x", "2");
    expect((await world.register(ANN, "a", "x")).text).toBe("2");
    world.net.repeat();
    await world.put("x", "3");
    expect(texts(await world.hear())).toEqual(["1", "3"]);
    expect(world.observers.counts().observers).toBe(1);
  });

  test("DELETE while a notification is in flight: the end takes its place", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.put("x", "1");
    await world.remove("x");
    world.net.repeat();
    expect((await world.take()).map(({ code }) => code)).toEqual([Response.content, Response.notFound]);
    expect(world.observers.counts().ledger).toMatchObject({
      accepted: 1,
      dropped: { deleted: 1 },
      pending: 0,
    });
  });

  test("a DELETE that was overtaken by a newer PUT ends nobody", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    const { seq } = await world.put("x", "1");
    world.observers.deleted("x", seq - 1);
    expect(texts(await world.hear())).toEqual(["1"]);
    expect(world.observers.counts().observers).toBe(1);
  });

  test("a change that the first answer had told already is not told again", async () => {
    await using world = await createWorld();
    const message = await world.put("x", "1");
    expect((await world.register(ANN, "a", "x")).text).toBe("1");
    // The bridge is told after the receipt, and somebody may have registered between.
    world.observers.changed(message);
    expect(await world.hear()).toEqual([]);
  });

  test("a value that comes while the store is asked for the one before stays", async () => {
    await using world = await createWorld();
    const old = await world.put("x", "1");
    await world.register(ANN, "a", "x");
    world.store.hang("everything");
    await world.clock.advance(55_000);
    world.observers.changed({ ...old, seq: old.seq + 1, payload: new TextEncoder().encode("2") });
    world.store.heal();
    expect(texts(await world.hear())).toEqual(["2"]);
    expect((await world.register(BEN, "b", "x")).text).toBe("2");
  });

  test("an older change never follows a newer one", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    const old = await world.put("x", "1");
    await world.put("x", "2");
    world.observers.changed({ ...old });
    expect(texts(await world.hear())).toEqual(["1", "2"]);
    expect(world.observers.counts().ledger).toMatchObject({ dropped: { overtaken: 1 } });
    expect((await world.register(BEN, "b", "x")).text).toBe("2");
  });
});

describe("the format of a relation", () => {
  test("RFC 7641 §4.2, TD_COAP_OBS_08: another format ends it with 4.06", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "x", { confirmable: false });
    await world.publish("x", "{}", { contentType: "application/json" });
    const heard = await world.hear();
    expect(heard).toEqual([
      { code: Response.notAcceptable, text: "" },
      { code: Response.notAcceptable, text: "" },
    ]);
    expect(world.observers.counts()).toMatchObject({ observers: 0, ended: { format: 2 } });
    expect(balanced(world)).toBe(true);
  });

  test("with Accept it is converted where it can be, else the relation ends", async () => {
    const show: Show = (showing) => {
      const type = showing.message?.contentType;
      if (type !== "application/json" || showing.accept !== 0) return toyShow(showing);
      return { ...toyShow({ ...showing, accept: 50 }), format: 0 };
    };
    await using world = await createWorld({ show });
    await world.publish("x", "1");
    await world.register(ANN, "a", "x", { accept: 0 });
    await world.publish("x", "2", { contentType: "application/json" });
    expect(texts(await world.hear())).toEqual(["2"]);
    await world.publish("x", "3", { contentType: "image/png" });
    expect(await world.hear()).toMatchObject([{ code: Response.notAcceptable }]);
  });

  test("begins with the first value where there was none, and survives an empty 2.05", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.publish("x", "{}", { contentType: "application/json" });
    await world.publish("x", "");
    await world.publish("x", "[]", { contentType: "application/json" });
    expect(texts(await world.hear())).toEqual(["{}", "[]"]);
    await world.publish("x", "text");
    expect(await world.hear()).toMatchObject([{ code: Response.notAcceptable }]);
  });
});

describe("what goes out in blocks", () => {
  test("is handed on under the registration's transfer, so that the others can be fetched", async () => {
    const whole = { code: Response.content, options: [], payload: new Uint8Array(5_000) };
    const begun: string[] = [];
    const show: Show = (showing) => ({ ...toyShow(showing), whole });
    await using world = await createWorld({
      show,
      begun: (from, transfer) => begun.push(`${from}/${transfer}`),
    });
    await world.register(ANN, "a", "x", { transfer: "T" });
    await world.publish("x", "large");
    await world.hear();
    expect(begun).toEqual([`${ANN.key}/T`]);
  });

  test("is encoded once for all observers that asked alike", async () => {
    let encoded = 0;
    const show: Show = (showing) => {
      if (showing.message !== undefined) encoded += 1;
      return toyShow(showing);
    };
    await using world = await createWorld({ show });
    for (let at = 0; at < 50; at += 1) {
      await world.register(ANN, `${at}`, "x", { confirmable: false, ...(at % 2 === 0 ? {} : { szx: 2 }) });
    }
    await world.publish("x", "1");
    expect(await world.take()).toHaveLength(50);
    expect(encoded).toBe(2);
  });
});
