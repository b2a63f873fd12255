import { createMemoryStore } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

describe("expiry is checked at every point", () => {
  test("while it waits: it ends on time, not when its turn comes", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "x", text: "open" });
    const { id } = await rig.publish({ text: "1", qos: 1, ttlMs: 1_000 });
    await rig.clock.advance(999);
    expect(attachment.ledger().expired).toBe(0);
    await rig.clock.advance(1);
    expect(attachment.ledger().expired).toBe(1);
    expect((await rig.port.receipt(id))?.outcomes[0]?.is).toBe("expired");
    await lastCall(peer).answer();
    expect(peer.texts).toEqual(["open"]);
  });

  test("while the store commits it", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder();
    const attachment = await rig.attach(peer);
    store.hang();
    const publishing = rig.publish({ text: "1", qos: 1, ttlMs: 1_000 });
    await rig.clock.advance(1_000);
    store.heal();
    await publishing;
    await settle();
    expect(peer.calls).toEqual([]);
    expect(attachment.ledger()).toMatchObject({ accepted: 1, expired: 1 });
  });

  test("while a QoS 2 attempt is committed", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder({ durable: true });
    const attachment = await rig.attach(peer);
    attachment.pause("not yet");
    await rig.publish({ text: "1", qos: 2, ttlMs: 1_000 });
    store.hang();
    attachment.resume();
    await rig.clock.advance(1_000);
    store.heal();
    await settle(10);
    expect(peer.calls).toEqual([]);
    expect(attachment.ledger()).toMatchObject({ expired: 1, pending: 0 });
  });

  test("after a retry; an open call may still succeed", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 2 }, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "a", qos: 1, ttlMs: 1_000 });
    await rig.publish({ channel: "b", qos: 1, ttlMs: 1_000 });
    await rig.clock.advance(1_000);
    await peer.calls[0]?.answer();
    await peer.calls[1]?.answer({ is: "retry", reason: "late" });
    expect(peer.calls).toHaveLength(2);
    expect(attachment.ledger()).toMatchObject({ delivered: 1, expired: 1, pending: 0 });
  });

  test("after a restart, and with the time that is left", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    const attachment = await rig.attach(createRecorder({ durable: true }));
    await attachment[Symbol.asyncDispose]();
    await rig.publish({ channel: "short", text: "short", qos: 1, ttlMs: 1_000 });
    await rig.publish({ channel: "long", text: "long", qos: 1, ttlMs: 9_000 });
    await rig[Symbol.asyncDispose]();
    await rig.clock.advance(1_000);
    await using next = await createRig({ store, clock: rig.clock });
    const peer = createRecorder({ durable: true });
    const again = await next.attach(peer);
    expect(peer.texts).toEqual(["long"]);
    expect(peer.calls[0]?.delivery.expiresInMs).toBe(8_000);
    expect(again.ledger()).toMatchObject({ expired: 1, delivered: 1, pending: 0 });
  });

  test("the time left goes with each call", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "x" });
    await rig.publish({ ttlMs: 5_000 });
    await rig.clock.advance(2_000);
    await lastCall(peer).answer();
    expect(lastCall(peer).delivery.expiresInMs).toBe(3_000);
    expect(peer.calls[0]?.delivery.expiresInMs).toBeUndefined();
  });
});

describe("TTL 0: now or never", () => {
  test("goes to who can take it now, else it is expired; it is never stored", async () => {
    const store = createMemoryStore();
    await using rig = await createRig({ store });
    const free = createRecorder({ name: "free", durable: true }, "asks");
    const busy = createRecorder({ name: "busy", durable: true }, "asks");
    await rig.attach(free);
    await rig.attach(busy);
    await rig.publish({ channel: "x" });
    await free.calls[0]?.answer();
    const { id, at } = await rig.publish({ text: "now", qos: 1, ttlMs: 0 });
    expect(at).toBe("stored");
    expect(lastCall(free)).toMatchObject({ text: "now", delivery: { expiresInMs: 0 } });
    await lastCall(free).answer();
    expect((await rig.port.receipt(id))?.outcomes.map((end) => [end.attachment, end.is])).toEqual([
      ["free", "delivered"],
      ["busy", "expired"],
    ]);
    expect(await store.waiting("free", 0, 10)).toEqual([]);
    expect(busy.calls).toHaveLength(1);
  });

  test("a paused peer cannot take it", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    const attachment = await rig.attach(peer);
    attachment.pause("away");
    await rig.publish({ qos: 2, ttlMs: 0 });
    expect(attachment.ledger()).toMatchObject({ accepted: 1, expired: 1 });
  });

  test("it is tried once", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ ttlMs: 0 });
    await lastCall(peer).answer({ is: "retry", reason: "busy" });
    expect(attachment.ledger()).toMatchObject({ expired: 1, pending: 0 });
    expect(peer.calls).toHaveLength(1);
  });
});

describe("a wall clock that is set", () => {
  test("moves expiries with it", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "x" });
    await rig.publish({ text: "1", qos: 1, ttlMs: 60_000 });
    await rig.publish({ channel: "state", text: "v", retain: true, ttlMs: 60_000 });
    rig.clock.step(3_600_000);
    await rig.clock.advance(59_000);
    expect(attachment.ledger().expired).toBe(0);
    const value = await rig.port.latest("state", "anonymous");
    expect(value?.expiresAt).toBe(rig.clock.now() + 1_000);
    await rig.clock.advance(1_000);
    expect(attachment.ledger().expired).toBe(2);
    expect(await rig.port.latest("state", "anonymous")).toBeUndefined();
  });

  test("is the one that messages are sent with", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "x" });
    await rig.publish({ text: "1", qos: 1, ttlMs: 60_000 });
    rig.clock.step(3_600_000);
    await rig.clock.advance(59_000);
    await peer.calls[0]?.answer();
    expect(lastCall(peer)).toMatchObject({ text: "1", delivery: { expiresInMs: 1_000 } });
    expect(lastCall(peer).message.expiresAt).toBe(rig.clock.now() + 1_000);
  });

  test("set back, nothing lives longer than it was given", async () => {
    await using rig = await createRig();
    await rig.publish({ channel: "state", text: "v", retain: true, ttlMs: 60_000 });
    rig.clock.step(-3_600_000);
    await rig.clock.advance(60_000);
    expect(await rig.port.latest("state", "anonymous")).toBeUndefined();
  });
});
