import type { Access, Principal } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { ANN, BEN, createWorld, isNewer, read, texts } from "./world.ts";

describe.each(["stop", "kill"] as const)("after a %s", (how) => {
  test("relations go on, with order numbers above those before", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    const first = await world.register(ANN, "a", "x");
    await world.register(BEN, "b", "y", { confirmable: false, all: true });
    await world.restart(how);
    expect(world.observers.counts()).toMatchObject({ observers: 2, endpoints: 2, channels: 2 });
    // Where there is no value, that is said again.
    expect(texts(await world.hear())).toEqual([""]);
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

  test("a clear whose notification was lost is told to who registered when there was no value either", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.publish("x", "1");
    expect(texts(await world.hear())).toEqual(["1"]);
    await world.publish("x", "");
    await world.take();
    await world.restart(how);
    expect(texts(await world.hear())).toEqual([""]);
  });

  test.each([false, true])("who missed a change is told the newest value (all: %s)", async (all) => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x", { all });
    for (const value of ["1", "2"]) await world.publish("x", value);
    await world.take();
    await world.restart(how);
    expect(texts(await world.hear())).toEqual(["2"]);
    await world.clock.advance(10_000);
    expect(await world.hear()).toEqual([]);
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

  test("who had not acknowledged that the channel was deleted learns that there is no value", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.remove("x");
    expect((await world.take()).map(({ code }) => code)).toEqual([Response.notFound]);
    await world.restart(how);
    expect(await world.hear()).toMatchObject([{ code: Response.content, text: "" }]);
  });

  test("an end that is acknowledged late ends no relation that has taken its place", async () => {
    await using world = await createWorld();
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.remove("x");
    const [end] = await world.take();
    await world.register(ANN, "a", "x");
    end?.acknowledge();
    await world.restart(how);
    expect(world.observers.counts().observers).toBe(1);
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
