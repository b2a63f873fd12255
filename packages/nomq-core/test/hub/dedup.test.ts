import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createMemoryStore, type Outcome, type Receipt } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, settle } from "./hub-rig.ts";

const MIB = 1_048_576;

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

function memoryHeld(): number {
  for (let round = 0; round < 4; round += 1) if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}

describe("once", () => {
  test("the same key again gets the first receipt and routes nothing", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    await rig.attach(peer);
    const first = await rig.publish({ text: "1", qos: 2 }, { once: "mqtt/c/1/7" });
    const again = await rig.publish({ text: "1", qos: 2 }, { once: "mqtt/c/1/7" });
    expect(again.id).toBe(first.id);
    await settle();
    expect(peer.texts).toEqual(["1"]);
  });

  test("also while the first is uncommitted, and over a reopening", async () => {
    const inner = createMemoryStore();
    const store = createFaultyStore(inner);
    const rig = await createRig({ store });
    await settle();
    store.hang();
    const first = rig.publish({ text: "1", qos: 1 }, { once: "k" });
    const again = rig.publish({ text: "1", qos: 1 }, { once: "k" });
    await settle();
    store.heal();
    expect((await again).id).toBe((await first).id);
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store: inner });
    expect((await next.publish({ text: "1", qos: 1 }, { once: "k" })).id).toBe((await first).id);
  });

  test("waits for its point on the first receipt: in the same run, and of a message of an earlier one", async () => {
    const inner = createFaultyStore(createMemoryStore());
    const rig = await createRig({ store: inner });
    const away = await rig.attach(createRecorder({ durable: true }));
    away.pause("away");
    const options = { once: "k", until: "delivered" } as const;
    const late = new AbortController();
    const first = rig.publish({ text: "1", qos: 1 }, { ...options, signal: late.signal });
    await settle();
    late.abort();
    expect((await first).at).toBe("stored");
    const again = rig.publish({ text: "1", qos: 1 }, options);
    await settle();
    const store = inner.crash("out");
    await using next = await createRig({ store, clock: rig.clock });
    store.hang("everything");
    const asked = next.publish({ text: "1", qos: 1 }, options);
    const followed: string[] = [];
    const { id } = await first;
    const following = (async () => {
      for await (const { at } of next.port.follow(id)) followed.push(at);
    })();
    await settle();
    // The answer of the store, and the end that comes meanwhile, in whichever order.
    const peer = createRecorder({ durable: true }, "asks");
    store.heal();
    await next.attach(peer);
    await peer.calls[0]?.answer();
    expect(await asked).toMatchObject({ id, at: "delivered" });
    await following;
    expect(followed.at(-1)).toBe("delivered");
    expect(peer.texts).toEqual(["1"]);
    void again;
  });

  test("release ends it, also when it comes before the commit, and over a reopening", async () => {
    const inner = createMemoryStore();
    const store = createFaultyStore(inner);
    const rig = await createRig({ store });
    await settle();
    store.hang();
    const first = rig.publish({ text: "1", qos: 2 }, { once: "k" });
    await settle();
    rig.port.release("k");
    store.heal();
    const { id } = await first;
    const second = await rig.publish({ text: "2", qos: 2 }, { once: "k" });
    expect(second.id).not.toBe(id);
    expect((await rig.publish({ text: "2", qos: 2 }, { once: "k" })).id).toBe(second.id);
    rig.port.release("k");
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store: inner });
    expect((await next.publish({ text: "3", qos: 2 }, { once: "k" })).id).not.toBe(second.id);
  });

  test("a key used again right after its release is kept, whatever batch the two share", async () => {
    const inner = createMemoryStore();
    const rig = await createRig({ store: inner });
    await rig.publish({ text: "1", qos: 2 }, { once: "k" });
    rig.port.release("k");
    const second = await rig.publish({ text: "2", qos: 2 }, { once: "k" });
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store: inner });
    expect((await next.publish({ text: "2", qos: 2 }, { once: "k" })).id).toBe(second.id);
  });

  test("it ends by itself after 24 hours, or when its attachment has too many", async () => {
    await using rig = await createRig({ limits: { once: 2 } });
    const first = await rig.publish({ qos: 1 }, { once: "1" });
    await rig.publish({ qos: 1 }, { once: "2" });
    await rig.publish({ qos: 1 }, { once: "3" });
    expect((await rig.publish({ qos: 1 }, { once: "1" })).id).not.toBe(first.id);
    const third = await rig.publish({ qos: 1 }, { once: "3" });
    await rig.clock.advance(24 * 60 * 60 * 1_000);
    await rig.publish({ qos: 1 }, { once: "other" });
    expect((await rig.publish({ qos: 1 }, { once: "3" })).id).not.toBe(third.id);
  });

  test("a name that is kept for a day keeps no more of its receipt than any message's is kept", async () => {
    const store = createMemoryStore({ receipts: 10 });
    await using rig = await createRig({ store, limits: { receipts: 10 } });
    const deliver = async (): Promise<Outcome> => ({
      is: "refused",
      reason: randomBytes(10_000).toString("hex"),
    });
    await rig.port.attach({ name: "peer", as: "anonymous", filters: ["#"], durable: false, deliver });
    const publish = (at: number): Promise<Receipt> => rig.publish({ qos: 1 }, { once: `${at}` });
    const first = await publish(0);
    const before = memoryHeld();
    for (let at = 1; at < 1_000; at += 1) await publish(at);
    await settle();
    // 20 MB of reasons.
    expect(memoryHeld() - before).toBeLessThan(4 * MIB);
    expect(await publish(0)).toMatchObject({ id: first.id, repeated: true });
  });

  test("QoS 0 is deduplicated too, without waiting for the store", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder();
    await rig.attach(peer);
    store.hang();
    const first = await rig.publish({ text: "1" }, { once: "coap/e/1" });
    expect((await rig.publish({ text: "1" }, { once: "coap/e/1" })).id).toBe(first.id);
    await settle();
    expect(peer.texts).toEqual(["1"]);
    store.heal();
  });
});

describe("echoes", () => {
  test("what comes back from our own send is told by its ticket, once; honest repeats survive", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    const other = createRecorder({ name: "other" });
    await rig.attach(peer);
    await rig.attach(other);
    await rig.publish({ text: "on", qos: 1 });
    const echo = await rig.publish({ text: "on", qos: 1 }, { attachment: "peer" });
    expect(echo).toMatchObject({ at: "stored", reason: "echo", outcomes: [] });
    const honest = await rig.publish({ text: "on", qos: 1 }, { attachment: "peer" });
    expect(honest.reason).toBeUndefined();
    await settle();
    expect(other.texts).toEqual(["on", "on"]);
    expect(peer.texts).toEqual(["on"]);
  });

  test("another payload or channel is no echo", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder());
    await rig.publish({ text: "on", qos: 1 });
    expect((await rig.publish({ text: "off", qos: 1 }, { attachment: "peer" })).reason).toBeUndefined();
    expect(
      (await rig.publish({ text: "on", channel: "c", qos: 1 }, { attachment: "peer" })).reason,
    ).toBeUndefined();
  });

  test("a ticket ends after ten seconds", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder());
    await rig.publish({ text: "on", qos: 1 });
    await rig.clock.advance(10_000);
    expect((await rig.publish({ text: "on", qos: 1 }, { attachment: "peer" })).reason).toBeUndefined();
  });

  test("a peer of which every word is its own has no echoes", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder({ echoes: false }));
    await rig.publish({ text: "on", qos: 1 });
    expect((await rig.publish({ text: "on", qos: 1 }, { attachment: "peer" })).reason).toBeUndefined();
  });

  test("a retained change taken for an echo leaves the channel owed", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    await rig.attach(peer);
    await rig.publish({ text: "on", qos: 1, retain: true });
    await settle();
    await rig.publish({ text: "off", qos: 1, retain: true }, { attachment: "peer" });
    await rig.publish({ text: "on", qos: 1, retain: true }, { attachment: "peer" });
    await settle();
    expect(peer.calls.map((call) => `${call.text} ${call.delivery.cause}`)).toEqual([
      "on live",
      "off repair",
    ]);
  });

  test("a live message never returns to where it came from", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    await rig.attach(peer);
    await rig.publish({ text: "mine", qos: 1 }, { attachment: "peer" });
    await settle();
    expect(peer.calls).toEqual([]);
  });
});
