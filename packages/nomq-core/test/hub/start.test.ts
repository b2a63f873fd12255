import { type Bridge, createHub, createMemoryStore, type Port } from "@nomq/core";
import { createFakeClock, createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

describe("a bridge's own state", () => {
  test("is remembered, replaced and deleted, and goes with a message's commit", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    const key = (name: string): Uint8Array => Buffer.from(name);
    await rig.port.remember([
      { key: key("a"), value: key("1") },
      { key: key("b"), value: key("1") },
    ]);
    await rig.publish({ qos: 1 }, { state: [{ key: key("a"), value: key("2") }] });
    await rig.publish({ qos: 0 }, { state: [{ key: key("c"), value: key("3") }] });
    await rig.port.remember([{ key: key("b") }]);
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store });
    const found: string[] = [];
    for await (const [name, value] of next.port.state())
      found.push(`${Buffer.from(name)}=${Buffer.from(value)}`);
    expect(found).toEqual(["a=2", "c=3"]);
  });

  test("later state is not overwritten by earlier state of a waiting message", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const key = Buffer.from("k");
    store.hang();
    const publishing = rig.publish({ qos: 1 }, { state: [{ key, value: Buffer.from("1") }] });
    const remembering = rig.port.remember([{ key, value: Buffer.from("2") }]);
    await settle();
    store.heal();
    await Promise.all([publishing, remembering]);
    for await (const [, value] of rig.port.state()) expect(Buffer.from(value).toString()).toBe("2");
  });
});

describe("known channels", () => {
  test("configured ones, published ones and subscribed names; new ones are announced", async () => {
    await using rig = await createRig({ channels: ["conf"] });
    await rig.publish({ channel: "seen" });
    await rig.attach(createRecorder({ filters: ["literal", "wild/+"] }));
    const stop = new AbortController();
    const names: string[] = [];
    const listing = (async () => {
      for await (const name of rig.port.channels("#", { signal: stop.signal })) names.push(name);
    })();
    await settle();
    await rig.publish({ channel: "new" });
    await rig.publish({ channel: "new" });
    await settle();
    stop.abort();
    await listing;
    expect(names).toEqual(["conf", "seen", "literal", "new"]);
  });

  test("are bounded; a listing that does not follow ends", async () => {
    await using rig = await createRig({ channels: ["conf"], limits: { channels: 2 } });
    for (const channel of ["1", "2", "3"]) await rig.publish({ channel });
    const names: string[] = [];
    for await (const name of rig.port.channels("#", { follow: false })) names.push(name);
    expect(names).toEqual(["conf", "2", "3"]);
  });
});

describe("start and stop", () => {
  const bridgeOf = (name: string, steps: string[], start?: () => Promise<void>): Bridge => ({
    name,
    attach: async () => void steps.push(`${name} attach`),
    start: async () => {
      steps.push(`${name} start`);
      await start?.();
    },
    stop: async () => void steps.push(`${name} stop`),
    status: () => ({ state: "ready", since: 0 }),
    statusChanges: async function* () {
      yield { state: "ready", since: 0 } as const;
    },
    addresses: () => [],
    [Symbol.asyncDispose]: async () => undefined,
  });

  test("all bridges attach before any starts; they stop in reverse order", async () => {
    const steps: string[] = [];
    const hub = createHub({ clock: createFakeClock() });
    for (const name of ["a", "b"]) hub.add(bridgeOf(name, steps));
    await hub.start();
    await hub[Symbol.asyncDispose]();
    await hub[Symbol.asyncDispose]();
    expect(steps).toEqual(["a attach", "b attach", "a start", "b start", "b stop", "a stop"]);
  });

  test("a bridge added after start is attached and started", async () => {
    const steps: string[] = [];
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    hub.add(bridgeOf("late", steps));
    await settle();
    expect(steps).toEqual(["late attach", "late start"]);
  });

  test("a start that fails stops what was started and leaves nothing open", async () => {
    const steps: string[] = [];
    const clock = createFakeClock();
    const hub = createHub({ clock });
    hub.add(bridgeOf("a", steps));
    hub.add(bridgeOf("b", steps, () => Promise.reject(new Error("port in use"))));
    await expect(hub.start()).rejects.toThrow("port in use");
    expect(steps.slice(-2)).toEqual(["b stop", "a stop"]);
    expect(clock.pending()).toBe(0);
    await hub[Symbol.asyncDispose]();
  });

  test("dispose leaves no timer behind", async () => {
    const clock = createFakeClock();
    const rig = await createRig({ clock });
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "a", ttlMs: 100_000 });
    await rig.publish({ channel: "b", ttlMs: 100_000 });
    await lastCall(peer).answer({ is: "retry", reason: "busy", afterMs: 50_000 });
    await rig[Symbol.asyncDispose]();
    expect(clock.pending()).toBe(0);
  });

  test("a port is usable for an embedded user without a bridge", async () => {
    await using hub = createHub();
    await hub.start();
    const port: Port = hub.port("app");
    expect((await port.publish({ channel: "a", payload: Buffer.from("1") }, "*")).at).toBe("stored");
    expect(port.may("*", "publish", "a")).toBe(true);
  });
});

describe("closing", () => {
  test("answers who waits for a delivery and ends who follows", async () => {
    const rig = await createRig();
    await rig.attach(createRecorder({ durable: true }, "asks"));
    const waiting = rig.publish({ qos: 1 }, { until: "delivered" });
    await settle();
    const { id } = await rig.publish({ qos: 1 });
    const seen: string[] = [];
    const following = (async () => {
      for await (const receipt of rig.port.follow(id)) seen.push(receipt.at);
    })();
    await settle();
    await rig[Symbol.asyncDispose]();
    expect((await waiting).at).toBe("stored");
    await following;
    expect(seen[0]).toBe("stored");
    expect(rig.clock.pending()).toBe(0);
  });
});
