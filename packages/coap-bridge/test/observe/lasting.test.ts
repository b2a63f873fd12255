import type { Access, Principal } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { createFanOut } from "../../src/observe/fan-out.ts";
import { createOrderNumbers, ORDER_MODULUS } from "../../src/observe/order-numbers.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { ANN, BEN, createWorld, read, texts } from "./world.ts";

/** RFC 7641 section 3.4, for two numbers heard within 128 s. */
const isNewer = (later: number | undefined, earlier: number | undefined): boolean => {
  if (later === undefined || earlier === undefined || later === earlier) return false;
  return (later - earlier + ORDER_MODULUS) % ORDER_MODULUS < ORDER_MODULUS / 2;
};

describe.each(["stop", "kill"] as const)("after a %s", (how) => {
  test("relations go on, with order numbers above those before", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    const first = await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "y", { confirmable: false, all: true });
    await world.restart(how);
    expect(world.observers.counts()).toMatchObject({ observers: 2, endpoints: 2, channels: 2 });
    await world.publish("x", "2");
    await world.publish("y", "3", { retain: false });
    const heard = await world.hear();
    expect(texts(heard).toSorted()).toEqual(["2", "3"]);
    expect(isNewer(heard[0]?.observe, first.observe)).toBe(true);
  });

  test("order numbers rise over many restarts and changes", async () => {
    await using world = await createWorld();
    let last = (await world.register(ANN, "a", "x")).observe;
    for (let round = 1; round <= 5; round += 1) {
      await world.publish("x", `${round}`);
      await world.restart(how);
      await world.publish("x", `${round} again`);
      for (const { observe } of await world.hear()) {
        expect(isNewer(observe, last)).toBe(true);
        last = observe;
      }
    }
  });

  test("who was told the value hears nothing until it changes; then it is asked by a CON whether it is there", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x", { confirmable: false });
    await world.restart(how);
    expect(await world.take()).toEqual([]);
    await world.publish("x", "2");
    expect((await world.take()).map(({ type }) => type)).toEqual([MessageType.confirmable]);
  });

  test("a value that changed while a notification was unacknowledged is told", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.publish("x", "1");
    await world.take();
    await world.restart(how);
    expect(texts(await world.hear())).toEqual(["1"]);
  });

  test("the format is still that of the beginning", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.restart(how);
    await world.publish("x", "{}", { contentType: "application/json" });
    expect(await world.hear()).toMatchObject([{ code: Response.notAcceptable }]);
  });

  test("relations that ended before do not come back", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.register(ANN, "b", "x");
    await world.register(BEN, "c", "x");
    world.observers.cancel(ANN, new TextEncoder().encode("a"));
    await world.publish("x", "1");
    for (const heard of await world.take()) heard.to === BEN ? heard.reset() : heard.acknowledge();
    await world.take();
    await world.restart(how);
    expect(world.observers.counts().observers).toBe(1);
    await world.remove("x");
    await world.hear();
    await world.restart(how);
    expect(world.observers.counts().observers).toBe(0);
    expect(world.hub.attachments().map(({ filters }) => filters)).toEqual([[]]);
  });

  test("an endpoint that no socket of ours reaches any more is let go", async () => {
    await using world = await createWorld({ reaches: (key) => key !== ANN.key });
    await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "x");
    await world.restart(how);
    expect(world.observers.counts()).toMatchObject({ observers: 1, ended: { unreachable: 1 } });
  });
});

test("what was taken before a kill and not yet handed on reaches who asked for every message", async () => {
  await using world = await createWorld();
  await world.register(ANN, "a", "x", { all: true });
  // Acknowledged at "stored"; the process dies before the store knows that it was handed on.
  const message = { channel: "x", payload: new TextEncoder().encode("1"), contentType: "text/plain" };
  const receipt = await world.hub.port("other").publish({ ...message, qos: 1 }, "*", { until: "stored" });
  expect(receipt.at).toBe("stored");
  await world.restart("cut");
  await world.publish("x", "2", { retain: false });
  expect(new Set(texts(await world.hear()))).toEqual(new Set(["1", "2"]));
});

test("a record that nobody can read is dropped, and the others come back", async () => {
  await using world = await createWorld();
  await world.register(ANN, "a", "x");
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const port = world.hub.port("coap");
  await port.remember([
    { key: bytes("observe/relation/toy 192.0.2.9 1/zz"), value: bytes("{ not JSON") },
    { key: bytes("observe/relation/toy 192.0.2.9 2/00"), value: bytes('{"channel":7}') },
    { key: bytes("sensor/of another room"), value: bytes("1") },
  ]);
  await world.restart("stop");
  expect(world.observers.counts().observers).toBe(1);
  await world.restart("stop");
  const keys: string[] = [];
  for await (const [key] of world.hub.port("coap").state()) keys.push(Buffer.from(key).toString());
  expect(keys.filter((key) => key.startsWith("observe/relation/"))).toHaveLength(1);
  expect(keys).toContain("sensor/of another room");
});

describe("a store that is in trouble", () => {
  test("that hangs holds up a registration's answer, and nobody's notifications", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    world.store.hang();
    let isAnswered = false;
    const answer = world.register(BEN, "b", "y").then((said) => {
      isAnswered = true;
      return said;
    });
    await world.publish("x", "1", { qos: 0, retain: false });
    expect(texts(await world.hear())).toEqual(["1"]);
    expect(isAnswered).toBe(false);
    world.store.heal();
    expect((await answer).observe).toBeDefined();
  });

  test.each(["hang", "fail"] as const)(
    "that goes on to %s for 5 s leaves a relation that lasts as long as the process, and later longer",
    async (trouble) => {
      await using world = await createWorld();
      await world.register(ANN, "a", "x");
      world.store[trouble]();
      const known = world.register(BEN, "b", "x");
      const other = world.register(BEN, "c", "other");
      await world.clock.advance(5_000);
      expect((await known).observe).toBeDefined();
      // The hub does not send that channel: nobody is promised anything.
      expect(await other).toEqual({ code: Response.content, text: "" });
      expect(world.observers.counts()).toMatchObject({
        ...{ observers: 2, unsaved: 1, unregistered: { interest: 1 } },
      });
      world.store.heal();
      // The next commit takes what the last one could not.
      await world.publish("z", "1");
      await world.restart("kill");
      expect(world.observers.counts().observers).toBe(2);
    },
  );
});

describe("rights", () => {
  const createRights = (): Access & { deny(who: Principal): void } => {
    const denied = new Set<Principal>();
    const changed = new Set<() => void>();
    return {
      may: (who, action) => action !== "subscribe" || !denied.has(who),
      onChange(run) {
        changed.add(run);
        return () => changed.delete(run);
      },
      deny(who) {
        denied.add(who);
        for (const run of changed) run();
      },
    };
  };

  test("that are revoked end the observation at once, with a 4.03 without Observe", async () => {
    const access = createRights();
    await using world = await createWorld({ access });
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.register(BEN, "b", "x", { as: "addr:192.0.2.2" });
    access.deny("addr:192.0.2.1");
    expect(await world.hear()).toEqual([{ code: Response.forbidden, text: "" }]);
    await world.publish("x", "1");
    expect(texts(await world.hear())).toEqual(["1"]);
    expect(world.observers.counts()).toMatchObject({ observers: 1, ended: { access: 1 } });
  });

  test("are asked for at each notification", async () => {
    let isAllowed = true;
    await using world = await createWorld({ access: { may: (who) => who === "*" || isAllowed } });
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.publish("x", "1");
    isAllowed = false;
    // The one in flight was allowed; the value that waits is not told any more.
    await world.publish("x", "secret");
    for (const heard of await world.take()) heard.acknowledge();
    const heard = await world.hear();
    expect(heard).toEqual([{ code: Response.forbidden, text: "" }]);
    expect(world.observers.counts().ledger).toMatchObject({
      accepted: 2,
      delivered: 1,
      dropped: { access: 1 },
    });
  });

  test("a value that is not allowed any more is not told in a repetition either", async () => {
    const access = createRights();
    await using world = await createWorld({ access });
    await world.register(ANN, "a", "x", { as: "addr:192.0.2.1" });
    await world.publish("x", "1");
    await world.take();
    access.deny("addr:192.0.2.1");
    await world.publish("x", "secret");
    world.net.repeat();
    expect((await world.take()).map(read)).toEqual([{ code: Response.forbidden, text: "" }]);
  });
});

describe("order numbers", () => {
  test("RFC 7641 §4.4: have 24 bits, wrap, and stay newer by the rule of §3.4", () => {
    const numbers = createOrderNumbers({ start: ORDER_MODULUS - 3, reserve: () => undefined });
    let last = numbers.next();
    for (let at = 0; at < 200_000; at += 1) {
      const next = numbers.next();
      if (next >= ORDER_MODULUS || !isNewer(next, last)) expect([next, last]).toBe("in order");
      last = next;
    }
  });

  test("are reserved before they are used, and a later run begins above", () => {
    let reserved = 0;
    let numbers = createOrderNumbers({ start: 7, reserve: (upTo) => (reserved = upTo) });
    let highest = 0;
    for (let at = 0; at < 100_000; at += 1) {
      highest = numbers.next();
      expect(reserved).toBeGreaterThanOrEqual(highest);
    }
    numbers = createOrderNumbers({ start: 7, reserved, reserve: () => undefined });
    const first = numbers.next();
    expect(first).toBeGreaterThan(highest);
    expect(first - highest).toBeLessThan(ORDER_MODULUS / 2 ** 5);
  });
});

describe("a large fan-out", () => {
  test("gives way to others every few milliseconds, and forgets nobody", async () => {
    let now = 0;
    const had: number[] = [];
    const fanOut = createFanOut<number>(
      (item) => {
        had.push(item);
        now += 0.1;
      },
      () => now,
    );
    for (let item = 0; item < 1_000; item += 1) fanOut.push(item);
    const stretches: number[] = [];
    let before = now;
    fanOut.run();
    while (had.length < 1_000) {
      stretches.push(now - before);
      before = now;
      await new Promise((done) => setImmediate(done));
    }
    expect(had).toEqual([...Array(1_000).keys()]);
    expect(Math.max(...stretches)).toBeLessThan(6);
    expect(stretches.length).toBeGreaterThan(15);
  });

  test("is in turn: who comes while it is behind waits behind the others", async () => {
    let now = 0;
    const had: number[] = [];
    const fanOut = createFanOut<number>(
      (item) => {
        had.push(item);
        now += 1;
        if (item < 200) fanOut.push(item + 200);
      },
      () => now,
    );
    for (let item = 0; item < 200; item += 1) fanOut.push(item);
    for (let turn = 0; turn < 60; turn += 1) await new Promise((done) => setImmediate(done));
    expect(had).toEqual([...Array(400).keys()]);
    fanOut.push(7);
    fanOut.stop();
    await new Promise((done) => setImmediate(done));
    expect(had).toHaveLength(400);
  });
});
