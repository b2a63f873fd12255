import { describe, expect, test } from "vitest";
import { notificationWishes } from "../../src/observe/wishes.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { ANN, BEN, createWorld, texts, toyShow } from "./world.ts";

describe("a registration", () => {
  test("RFC 7641 §3.1: is answered with the value and an order number, and then told every change", async () => {
    await using world = await createWorld();
    await world.publish("room/t", "20");
    const first = await world.register(ANN, "a", "room/t");
    expect(first).toMatchObject({ code: Response.content, text: "20" });
    await world.publish("room/t", "21");
    const [second] = await world.hear();
    expect(second).toMatchObject({ code: Response.content, text: "21" });
    expect(second?.observe).toBeGreaterThan(first.observe ?? Number.NaN);
    await world.put("room/t", "22");
    expect(texts(await world.hear())).toEqual(["22"]);
  });

  test("of a channel without a value is answered empty, and told the first value", async () => {
    await using world = await createWorld();
    const first = await world.register(ANN, "a", "room/t");
    expect(first).toMatchObject({ code: Response.content, text: "" });
    expect(first.observe).toBeDefined();
    await world.publish("room/t", "1");
    expect(texts(await world.hear())).toEqual(["1"]);
  });

  test("RFC 7641 §4.1: with the same endpoint and token replaces the one before, also for another channel", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.register(ANN, "a", "x");
    await world.register(ANN, "a", "x", { confirmable: false });
    await world.publish("x", "1");
    const heard = await world.take();
    expect(heard.map(({ type }) => type)).toEqual([MessageType.nonConfirmable]);
    await world.register(ANN, "a", "y");
    await world.publish("x", "2");
    await world.publish("y", "3");
    expect(texts(await world.hear())).toEqual(["3"]);
    expect(world.observers.counts()).toMatchObject({ observers: 1, channels: 1, ended: { replaced: 3 } });
  });

  test("two tokens of one endpoint, and one token of two endpoints, are relations of their own", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.register(ANN, "b", "x");
    await world.register(BEN, "a", "x");
    await world.publish("x", "1");
    expect(await world.hear()).toHaveLength(3);
    expect(world.observers.counts()).toMatchObject({ observers: 3, endpoints: 2, channels: 1 });
  });

  test("whose first answer cannot be said as wished registers nobody", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    expect(await world.register(ANN, "a", "x", { accept: 50 })).toMatchObject({
      code: Response.notAcceptable,
    });
    expect(world.observers.counts()).toMatchObject({ observers: 0, channels: 0 });
  });

  test("may answer with 2.03 for an ETag that is still right, and counts as registered", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    const first = (showing: Parameters<typeof toyShow>[0]) => ({ ...toyShow(showing), code: Response.valid });
    const answer = await world.register(ANN, "a", "x", { first });
    expect(answer.code).toBe(Response.valid);
    expect(answer.observe).toBeDefined();
    await world.publish("x", "2");
    expect(await world.hear()).toMatchObject([{ code: Response.content, text: "2" }]);
  });

  test("misses no change that is published while it is under way", async () => {
    await using world = await createWorld();
    for (let round = 0; round < 30; round += 1) {
      const answer = world.register(ANN, `t${round}`, `c${round}`);
      // At another moment of the registration each time.
      for (let turn = 0; turn < round % 8; turn += 1) await new Promise((done) => setImmediate(done));
      const published = world.publish(`c${round}`, "news");
      const { text } = await answer;
      await published;
      const heard = texts(await world.hear());
      expect(text === "news" ? "news" : heard.at(-1)).toBe("news");
    }
  });
});

describe("a wish for notifications", () => {
  const con = MessageType.confirmable;
  const non = MessageType.nonConfirmable;
  test.each([
    [con, {}, { confirmable: true, all: false }],
    [non, {}, { confirmable: false, all: false }],
    [con, { qos: "0" }, { confirmable: false, all: false }],
    [non, { qos: "1" }, { confirmable: true, all: false }],
    [non, { qos: "2" }, { confirmable: true, all: false }],
    [non, { all: "" }, { confirmable: true, all: true }],
    [con, { all: "1", qos: "0" }, { confirmable: false, all: true }],
    [con, { all: "false" }, { confirmable: true, all: false }],
    [con, { qos: "3" }, undefined],
    [con, { qos: "" }, undefined],
    [con, { all: "maybe" }, undefined],
  ])("type %i with %o is %o", (type, query, wishes) => {
    expect(notificationWishes(type, query)).toEqual(wishes);
  });
});

describe("a limit", () => {
  test("per endpoint: what is above it is answered plainly, without Observe", async () => {
    await using world = await createWorld({ limits: { perEndpoint: 2 } });
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.register(ANN, "b", "x");
    expect(await world.register(ANN, "c", "x")).toEqual({ code: Response.content, text: "1" });
    // One it has may be renewed, and others have room.
    expect((await world.register(ANN, "b", "x")).observe).toBeDefined();
    expect((await world.register(BEN, "a", "x")).observe).toBeDefined();
    expect(world.observers.counts()).toMatchObject({ observers: 3, unregistered: { "endpoint-limit": 1 } });
  });

  test("of an endpoint is 256 unless told otherwise", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    for (let count = 0; count < 257; count += 1) await world.register(ANN, `t${count}`, "x");
    expect(world.observers.counts()).toMatchObject({ observers: 256, unregistered: { "endpoint-limit": 1 } });
  });

  test("of all: registrations under way count", async () => {
    await using world = await createWorld({ limits: { most: 2 } });
    const answers = await Promise.all(["a", "b", "c"].map((name) => world.register(ANN, name, "x")));
    expect(answers.filter(({ observe }) => observe !== undefined)).toHaveLength(2);
    expect(world.observers.counts()).toMatchObject({ observers: 2, unregistered: { limit: 1 } });
  });

  test("a channel that the hub takes no interest in is answered plainly", async () => {
    await using world = await createWorld();
    const deep = "x/".repeat(600);
    await world.publish(deep, "1");
    const [odd, fine] = await Promise.all([
      world.register(ANN, "a", deep),
      world.register(ANN, "b", "plain"),
    ]);
    expect(odd).toEqual({ code: Response.content, text: "1" });
    expect(fine.observe).toBeDefined();
    expect(world.observers.counts()).toMatchObject({ observers: 1, unregistered: { interest: 1 } });
  });
});

describe("an end", () => {
  test("RFC 7641 §3.6: Observe = 1 ends the relation; the hub then sends the channel no more", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    expect(world.observers.has("x")).toBe(true);
    world.observers.cancel(ANN, new TextEncoder().encode("a"));
    await world.publish("x", "1");
    expect(await world.hear()).toEqual([]);
    expect(world.observers.has("x")).toBe(false);
    expect(world.hub.attachments().map(({ filters }) => filters)).toEqual([[]]);
    expect(world.observers.counts()).toMatchObject({ observers: 0, ended: { cancelled: 1 } });
  });

  test("Observe = 1 while the registration is under way ends it too", async () => {
    await using world = await createWorld();
    world.store.hang();
    const answer = world.register(ANN, "a", "x");
    await world.take();
    world.observers.cancel(ANN, new TextEncoder().encode("a"));
    world.store.heal();
    expect(await answer).toEqual({ code: Response.content, text: "" });
    await world.publish("x", "1");
    expect(await world.hear()).toEqual([]);
    await world.restart("stop");
    expect(world.observers.counts().observers).toBe(0);
  });

  test.each([true, false])("RFC 7641 §3.6: a reset ends it (confirmable: %s)", async (confirmable) => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x", { confirmable });
    await world.register(BEN, "b", "x");
    await world.publish("x", "1");
    for (const heard of await world.take()) heard.to === ANN ? heard.reset() : heard.acknowledge();
    await world.publish("x", "2");
    expect((await world.take()).map(({ to }) => to)).toEqual([BEN]);
    expect(world.observers.counts()).toMatchObject({ observers: 1, ended: { reset: 1 } });
  });

  test("RFC 7641 §4.5: an endpoint that answers nothing loses all its relations, though each has asked on its own", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.register(ANN, "b", "y");
    await world.register(BEN, "c", "x");
    await world.publish("x", "1");
    world.net.timeOut(ANN);
    expect(world.observers.counts()).toMatchObject({ observers: 1, endpoints: 1, ended: { timeout: 2 } });
    await world.publish("y", "2");
    expect(await world.hear()).toMatchObject([{ text: "1" }, { text: "1" }]);
  });

  test("a peer with an identity that registers from another port leaves its old relation at once", async () => {
    await using world = await createWorld();
    const mine = { as: "coap:pump" as const };
    await world.register(ANN, "a", "x", mine);
    await world.register(ANN, "b", "y", mine);
    await world.register(BEN, "z", "x", mine);
    await world.publish("x", "1");
    expect((await world.take()).map(({ to }) => to)).toEqual([BEN]);
    expect(world.observers.counts()).toMatchObject({ observers: 2, ended: { moved: 1 } });
  });

  test("without an identity two endpoints are two observers", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.register(BEN, "a", "x", { as: "addr:192.0.2.1" });
    expect(world.observers.counts()).toMatchObject({ observers: 2 });
  });

  test("the session log tells who observes what, and why it ended; not of one that registers again", async () => {
    await using world = await createWorld();
    await world.publish("y", "1");
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.register(ANN, "a", "y", { as: "addr:192.0.2.1", confirmable: false });
    await world.register(BEN, "b", "y", { accept: 50 });
    await world.restart("kill");
    world.observers.cancel(ANN, new TextEncoder().encode("a"));
    expect(world.records).toEqual([
      "subscription.added addr:192.0.2.1 192.0.2.1:1001 x 1",
      "subscription.removed addr:192.0.2.1 192.0.2.1:1001 x 1 replaced",
      "subscription.added addr:192.0.2.1 192.0.2.1:1001 y 0",
      "subscription.removed addr:192.0.2.1 192.0.2.1:1001 y 0 cancelled",
    ]);
  });

  test("a stop leaves no timer behind, and may come twice", async () => {
    const world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "y", { confirmable: false });
    await world.publish("x", "1");
    await Promise.all([world.observers.stop(), world.observers.stop()]);
    await world[Symbol.asyncDispose]();
    expect(world.clock.pending()).toBe(0);
    expect(world.net.open()).toBe(0);
  });
});
