import { createMemoryStore } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { closeInTime, createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

describe("attach", () => {
  test("a name already attached is in use until it is detached", async () => {
    await using rig = await createRig();
    const attachment = await rig.attach(createRecorder());
    await expect(rig.attach(createRecorder())).rejects.toMatchObject({ code: "attachment-in-use" });
    await attachment[Symbol.asyncDispose]();
    await rig.attach(createRecorder());
  });

  test.each(["a/#/b", "a+", "#a", ""])("the filter %j is invalid and leaves nothing", async (filter) => {
    await using rig = await createRig();
    await expect(rig.attach(createRecorder({ filters: ["ok", filter] }))).rejects.toMatchObject({
      code: "filter-invalid",
    });
    expect(rig.hub.attachments()).toEqual([]);
    const attachment = await rig.attach(createRecorder({ filters: ["ok"] }));
    await expect(attachment.change({ add: ["fine", filter] })).rejects.toMatchObject({
      code: "filter-invalid",
    });
    expect(rig.hub.attachments()[0]?.filters).toEqual(["ok"]);
  });

  test("a very deep filter is refused, a very deep channel does no harm", async () => {
    await using rig = await createRig();
    await expect(rig.attach(createRecorder({ filters: ["+/".repeat(20_000)] }))).rejects.toMatchObject({
      code: "filter-invalid",
    });
    const peer = createRecorder({ filters: ["+/#"] });
    await rig.attach(peer);
    await rig.publish({ channel: "a/".repeat(30_000) });
    expect(peer.calls).toHaveLength(1);
  });

  test("one copy for overlapping filters; + is one level, # all below and its parent", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ filters: ["a/#", "a/+", "+/b", "#"] });
    await rig.attach(peer);
    const narrow = createRecorder({ name: "narrow", filters: ["a/+/c", "b/#"] });
    await rig.attach(narrow);
    for (const channel of ["a/b", "a/b/c", "a//c", "a/b/c/d", "b", "b/x"])
      await rig.publish({ channel, text: channel });
    await settle();
    expect(peer.calls).toHaveLength(6);
    expect(narrow.texts).toEqual(["a/b/c", "a//c", "b", "b/x"]);
  });

  test("a store that fails leaves nothing of a durable attach; the name is free again", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    store.fail();
    await expect(rig.attach(createRecorder({ durable: true }))).rejects.toMatchObject({
      code: "store-failed",
    });
    expect(rig.hub.attachments()).toEqual([]);
    store.heal();
    expect((await rig.publish({ qos: 1 })).outcomes).toEqual([]);
    await rig.attach(createRecorder({ durable: true }));
  });

  test("aborting an attach leaves nothing", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    store.hang();
    const stop = new AbortController();
    const attaching = rig.port.attach(createRecorder({ durable: true }).peer, { signal: stop.signal });
    const refused = expect(attaching).rejects.toMatchObject({ code: "aborted" });
    await settle();
    stop.abort();
    await refused;
    store.heal();
    await settle(20);
    expect(rig.hub.attachments()).toEqual([]);
  });

  test("attach, filter changes and publishes take effect in the order they were called", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const early = createRecorder({ name: "early", filters: ["a"] });
    const attachment = await rig.attach(early);
    store.hang();
    const first = rig.publish({ channel: "b", text: "1", qos: 1 });
    const change = attachment.change({ add: ["b"], remove: ["a"] });
    const second = rig.publish({ channel: "b", text: "2", qos: 1 });
    const third = rig.publish({ channel: "a", text: "3", qos: 1 });
    const late = createRecorder({ name: "late", durable: true, filters: ["#"] });
    const attaching = rig.port.attach(late.peer);
    const fourth = rig.publish({ channel: "b", text: "4", qos: 1 });
    await settle();
    store.heal();
    await Promise.all([first, change, second, third, attaching, fourth]);
    await settle(20);
    expect(early.texts).toEqual(["2", "4"]);
    expect(late.texts).toEqual(["4"]);
  });
});

describe("pause and detach", () => {
  test("pause: no new calls, open ones go on, messages wait", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 2 }, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "a", text: "1" });
    attachment.pause("offline");
    await rig.publish({ channel: "b", text: "2" });
    await lastCall(peer).answer();
    expect(peer.texts).toEqual(["1"]);
    expect(attachment.ledger()).toMatchObject({ delivered: 1, pending: 1 });
    expect(rig.hub.attachments()[0]).toMatchObject({ state: "paused", reason: "offline" });
    attachment.resume();
    expect(peer.texts).toEqual(["1", "2"]);
  });

  test("detach waits 5 s for open calls, then aborts, then waits 1 s; no answer counts as retry", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ durable: true }, "asks");
    const attachment = await rig.attach(peer);
    const { id } = await rig.publish({ text: "1", qos: 1 });
    await settle();
    let isOver = false;
    const closing = attachment[Symbol.asyncDispose]().then(() => {
      isOver = true;
    });
    await rig.clock.advance(4_999);
    expect(lastCall(peer).delivery.signal.aborted).toBe(false);
    await rig.clock.advance(1);
    expect(lastCall(peer).delivery.signal.aborted).toBe(true);
    await rig.clock.advance(999);
    expect(isOver).toBe(false);
    await rig.clock.advance(1);
    await closing;
    const again = createRecorder({ durable: true }, "asks");
    await rig.attach(again);
    expect(lastCall(again)).toMatchObject({ text: "1", delivery: { attempt: 2 } });
    await lastCall(peer).answer();
    expect((await rig.port.receipt(id))?.outcomes[0]?.is).toBe("pending");
    await lastCall(again).answer();
    expect((await rig.port.receipt(id))?.at).toBe("delivered");
  });

  test("a volatile peer's messages are dropped: detached", async () => {
    await using rig = await createRig();
    const attachment = await rig.attach(createRecorder({}, "asks"));
    const receipts = [
      await rig.publish({ channel: "a", qos: 1 }),
      await rig.publish({ channel: "b", qos: 1 }),
    ];
    await closeInTime(attachment, rig.clock);
    for (const { id } of receipts) {
      expect((await rig.port.receipt(id))?.outcomes).toMatchObject([{ is: "dropped", reason: "detached" }]);
    }
    expect(attachment.ledger()).toMatchObject({ accepted: 2, dropped: { detached: 2 }, pending: 0 });
    expect(rig.hub.attachments()).toEqual([]);
  });

  test("disposing twice is disposing once", async () => {
    await using rig = await createRig();
    const attachment = await rig.attach(createRecorder());
    await Promise.all([attachment[Symbol.asyncDispose](), attachment[Symbol.asyncDispose]()]);
    const next = await rig.attach(createRecorder());
    await attachment[Symbol.asyncDispose]();
    await expect(rig.attach(createRecorder())).rejects.toMatchObject({ code: "attachment-in-use" });
    expect(next.name).toBe("peer");
  });
});

describe("durable interest", () => {
  test("is in force before anybody claims it, and shown as unclaimed after a minute", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    await rig.attach(createRecorder({ name: "d", durable: true, filters: ["a/#"] }));
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store, clock: rig.clock });
    const receipt = await next.publish({ text: "1", qos: 1 });
    expect(receipt.outcomes).toMatchObject([{ attachment: "d", is: "pending" }]);
    expect(next.hub.attachments()).toMatchObject([
      { name: "d", filters: ["a/#"], state: "paused", ledger: { pending: 1 } },
    ]);
    await next.clock.advance(60_000);
    expect(next.hub.attachments()).toMatchObject([{ name: "d", state: "unclaimed" }]);
    const { filters: _, ...asStored } = createRecorder({ name: "d", durable: true }).peer;
    const seen: string[] = [];
    await next.port.attach({
      ...asStored,
      deliver: async (message) => {
        seen.push(Buffer.from(message.payload).toString());
        return { is: "delivered" };
      },
    });
    await settle();
    expect(seen).toEqual(["1"]);
    expect(next.hub.attachments()).toMatchObject([{ filters: ["a/#"], state: "active" }]);
  });

  test("unclaimed for 30 days it is forgotten", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    await rig.attach(createRecorder({ name: "d", durable: true }));
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store, clock: rig.clock });
    for (let day = 0; day < 31; day += 1) await next.clock.advance(24 * 60 * 60 * 1_000);
    expect(next.hub.attachments()).toEqual([]);
  });

  test("forget drops rows, interest and counts in one commit", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    const attachment = await rig.attach(createRecorder({ durable: true }));
    await attachment[Symbol.asyncDispose]();
    const { id } = await rig.publish({ qos: 1 });
    await rig.hub.forget("peer");
    expect((await rig.port.receipt(id))?.outcomes).toMatchObject([{ is: "dropped", reason: "forgotten" }]);
    expect((await rig.publish({ qos: 1 })).outcomes).toEqual([]);
    await rig[Symbol.asyncDispose]();
    expect((await store.open()).attachments).toEqual([]);
    expect((await store.receipt(id))?.outcomes).toMatchObject([{ is: "dropped", reason: "forgotten" }]);
  });

  test("an outbox larger than memory is read ahead from the store, in order", async () => {
    const store = createMemoryStore();
    await using rig = await createRig({ store, limits: { held: 10 } });
    const peer = createRecorder({ durable: true, window: 3 }, "asks");
    const attachment = await rig.attach(peer);
    for (let at = 0; at < 700; at += 1)
      await rig.publish({ channel: `c/${at % 3}`, text: `${at}`, qos: at % 2 === 0 ? 1 : 2 });
    expect(attachment.ledger().pending).toBe(700);
    for (let at = 0; at < peer.calls.length; at += 1) await peer.calls[at]?.answer();
    expect(peer.calls).toHaveLength(700);
    expect(peer.calls.every((call) => call.delivery.attempt === 1)).toBe(true);
    for (const lane of [0, 1, 2]) {
      const mine = peer.texts.map(Number).filter((at) => at % 3 === lane);
      expect(mine).toEqual(mine.toSorted((a, b) => a - b));
    }
    expect(attachment.ledger()).toMatchObject({ accepted: 700, delivered: 700, pending: 0 });
  });

  test("drop-oldest works on an outbox nobody has claimed", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    await rig.attach(createRecorder({ durable: true, outbox: { messages: 20 } }));
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store, clock: rig.clock });
    for (let at = 0; at < 50; at += 1) await next.publish({ text: `${at}`, qos: 1 });
    await settle();
    const peer = createRecorder({ durable: true, outbox: { messages: 20 } });
    const attachment = await next.attach(peer);
    await settle(20);
    expect(peer.texts).toEqual(Array.from({ length: 20 }, (_, at) => `${at + 30}`));
    expect(attachment.ledger()).toMatchObject({ accepted: 50, delivered: 20, dropped: { overflow: 30 } });
  });
});
