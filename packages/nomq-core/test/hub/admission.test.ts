import { createMemoryStore, type Receipt } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

const outcome = (receipt: Receipt | undefined, at = 0): unknown => {
  const found = receipt?.outcomes[at];
  return found === undefined ? undefined : [found.attachment, found.is, found.reason];
};

describe("what is refused before it is routed", () => {
  test.each([
    ["channel-invalid", { channel: "a/+" }],
    ["channel-invalid", { channel: "" }],
    ["channel-invalid", { channel: "$SYS/x" }],
    ["priority-invalid", { priority: 16 }],
    ["priority-invalid", { priority: 1.5 }],
    ["ttl-invalid", { ttlMs: -1 }],
    ["ttl-invalid", { ttlMs: Number.NaN }],
    ["properties-invalid", { contentType: "x".repeat(65_536) }],
    ["properties-invalid", { contentType: "text/\0" }],
    ["properties-invalid", { responseChannel: "\ud800" }],
    ["properties-invalid", { correlation: new Uint8Array(65_536) }],
    ["properties-invalid", { properties: [["name", "x".repeat(65_536)] as const] }],
    ["too-large", { text: "x".repeat(101) }],
  ])("%s", async (reason, draft) => {
    await using rig = await createRig({ limits: { payload: 100 } });
    const peer = createRecorder();
    const attachment = await rig.attach(peer);
    expect(await rig.publish({ qos: 1, ...draft })).toMatchObject({ at: "refused", reason, outcomes: [] });
    expect(peer.calls).toEqual([]);
    expect(attachment.ledger().accepted).toBe(0);
  });

  test("a publisher without the right", async () => {
    const may = (_who: string, action: string): boolean => action === "subscribe";
    await using rig = await createRig({ access: { may } });
    expect(await rig.publish({ text: "1" })).toMatchObject({ at: "refused", reason: "access" });
  });

  test("before start and after dispose a publish is refused, not thrown", async () => {
    const rig = await createRig();
    await rig[Symbol.asyncDispose]();
    expect(await rig.publish({ text: "1", qos: 1 })).toMatchObject({ at: "refused", reason: "closed" });
  });
});

describe("a full outbox", () => {
  test("refuse: QoS 1 is refused for all, nothing routed or retained; QoS 0 is dropped there only", async () => {
    await using rig = await createRig();
    const full = createRecorder({ name: "full", outbox: { messages: 1, whenFull: "refuse" } }, "asks");
    const other = createRecorder({ name: "other" });
    await rig.attach(full);
    await rig.attach(other);
    await rig.publish({ text: "1", qos: 1 });
    const refused = await rig.publish({ text: "2", qos: 1, retain: true });
    expect(refused).toMatchObject({ at: "refused", reason: "outbox-full: full", outcomes: [] });
    expect(other.texts).toEqual(["1"]);
    expect(await rig.port.latest("a/b", "anonymous")).toBeUndefined();
    const dropped = await rig.publish({ text: "3" }, { until: "accepted" });
    await settle();
    const receipt = await rig.port.receipt(dropped.id);
    expect(receipt?.outcomes.map(({ attachment, is, reason }) => [attachment, is, reason])).toEqual([
      ["full", "dropped", "overflow"],
      ["other", "delivered", undefined],
    ]);
    expect(other.texts).toEqual(["1", "3"]);
  });

  test("refuse: room stays reserved until the commit, also against QoS 0", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder({ outbox: { messages: 1, whenFull: "refuse" } }, "asks");
    await rig.attach(peer);
    store.hang();
    const stored = rig.publish({ text: "1", qos: 1, channel: "x" });
    await settle();
    const dropped = await rig.publish({ text: "2" });
    store.heal();
    expect((await stored).at).toBe("stored");
    await settle();
    expect(outcome(await rig.port.receipt(dropped.id))).toEqual(["peer", "dropped", "overflow"]);
    expect(peer.texts).toEqual(["1"]);
  });

  test("refuse: the bytes of the limit count too", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder({ outbox: { bytes: 20, whenFull: "refuse" } }, "asks"));
    expect((await rig.publish({ text: "0123456789", qos: 1 })).at).toBe("stored");
    expect((await rig.publish({ text: "0123456789", qos: 1 })).reason).toBe("outbox-full: peer");
  });

  test("a retained change refused for want of room does not reach the store, and its source is put right", async () => {
    await using rig = await createRig();
    const source = createRecorder({ name: "source" });
    await rig.attach(source);
    await rig.publish({ text: "old", retain: true });
    await rig.attach(createRecorder({ name: "full", outbox: { messages: 1, whenFull: "refuse" } }, "asks"));
    await rig.publish({ text: "fill", qos: 1, channel: "x" }, { attachment: "source" });
    const refused = await rig.publish({ text: "new", qos: 1, retain: true }, { attachment: "source" });
    await settle();
    expect(refused.reason).toBe("outbox-full: full");
    expect(lastCall(source)).toMatchObject({ text: "old", delivery: { cause: "repair" } });
  });

  test("drop-newest drops the newcomer", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ outbox: { messages: 2, whenFull: "drop-newest" } }, "asks");
    const attachment = await rig.attach(peer);
    for (const text of ["1", "2"]) await rig.publish({ text, qos: 1 });
    const third = await rig.publish({ text: "3", qos: 1 });
    expect(outcome(await rig.port.receipt(third.id))).toEqual(["peer", "dropped", "overflow"]);
    expect(attachment.ledger()).toMatchObject({ accepted: 3, dropped: { overflow: 1 }, pending: 2 });
  });

  test("drop-oldest takes QoS 0 first, then the lowest priority, then the oldest; never an open call", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ outbox: { messages: 5, whenFull: "drop-oldest" } }, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "open" });
    await rig.publish({ text: "low old", qos: 1, channel: "c1", priority: 1 });
    await rig.publish({ text: "high", qos: 1, channel: "c2", priority: 9 });
    await rig.publish({ text: "low young", qos: 1, channel: "c3", priority: 1 });
    await rig.publish({ text: "zero", qos: 0, channel: "c4", priority: 15 });
    for (const text of ["n1", "n2", "n3"]) await rig.publish({ text, qos: 1, channel: text, priority: 5 });
    for (let at = 0; at < 5; at += 1) await lastCall(peer).answer();
    expect(peer.texts).toEqual(["open", "high", "n1", "n2", "n3"]);
  });

  test("drop-oldest with all calls open drops the newcomer", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 2, outbox: { messages: 2 } }, "asks");
    await rig.attach(peer);
    for (const channel of ["a", "b"]) await rig.publish({ channel, qos: 1 });
    const late = await rig.publish({ channel: "c", qos: 1 });
    expect(outcome(await rig.port.receipt(late.id))).toEqual(["peer", "dropped", "overflow"]);
  });

  test("drop-oldest takes what has expired before anything else", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ outbox: { messages: 3 } }, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ text: "open" });
    await rig.publish({ text: "keeps", qos: 1, channel: "k" });
    await rig.publish({ text: "ends", qos: 2, channel: "e", priority: 15, ttlMs: 1_000 });
    await rig.clock.advance(1_000);
    await rig.publish({ text: "new", qos: 1, channel: "n" });
    expect(attachment.ledger()).toMatchObject({ accepted: 4, expired: 1, dropped: {}, pending: 3 });
  });

  test("a dropped retained change comes later as a repair", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ outbox: { messages: 2 } }, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "open", channel: "x" });
    await rig.publish({ text: "state", channel: "s", qos: 1, retain: true });
    await rig.publish({ text: "push", channel: "y", qos: 1, priority: 1 });
    await lastCall(peer).answer();
    await lastCall(peer).answer();
    expect(lastCall(peer)).toMatchObject({ text: "state", delivery: { cause: "repair" } });
  });

  test("what waits for the store is bounded", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store, limits: { waiting: 3 } });
    await settle();
    store.hang();
    const waiting = [1, 2, 3, 4].map((at) => rig.publish({ text: `${at}`, qos: 1 }));
    await settle();
    const more = await Promise.all(
      [5, 6, 7, 8].map((at) =>
        Promise.race([rig.publish({ text: `${at}`, qos: 1 }), settle().then(() => undefined)]),
      ),
    );
    expect(more.at(-1)).toMatchObject({ at: "refused", reason: "store-busy" });
    store.heal();
    expect((await Promise.all(waiting)).filter((receipt) => receipt.at === "stored").length).toBeGreaterThan(
      0,
    );
  });
});

describe("a store that does not answer", () => {
  test("QoS 0 flows, QoS 1 and retained changes wait, and all completes once it answers", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder({ durable: true, window: 10 });
    const attachment = await rig.attach(peer);
    store.hang();
    const told: string[] = [];
    const waiting = (["qos1", "qos2", "retained"] as const).map((text) =>
      rig
        .publish({
          text,
          channel: text,
          qos: text === "qos2" ? 2 : text === "qos1" ? 1 : 0,
          retain: text === "retained",
        })
        .then((receipt) => told.push(`${text} ${receipt.at}`)),
    );
    for (const text of ["a", "b", "c"]) expect((await rig.publish({ text })).at).toBe("stored");
    await settle();
    expect(peer.texts).toEqual(["a", "b", "c"]);
    expect(told).toEqual([]);
    store.heal();
    await Promise.all(waiting);
    await settle(20);
    expect(told).toEqual(["qos1 stored", "qos2 stored", "retained stored"]);
    expect(peer.texts.toSorted()).toEqual(["a", "b", "c", "qos1", "qos2", "retained"]);
    expect(attachment.ledger()).toMatchObject({ accepted: 6, delivered: 6, pending: 0 });
  });

  test("aborting a publish ends the waiting, not the message", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder();
    await rig.attach(peer);
    store.hang();
    const stop = new AbortController();
    const publishing = rig.publish({ text: "1", qos: 1 }, { signal: stop.signal });
    await settle();
    stop.abort();
    expect((await publishing).at).toBe("accepted");
    store.heal();
    await settle(20);
    expect(peer.texts).toEqual(["1"]);
  });

  test("a failed commit refuses its message and routes nothing; a retry of the same transfer is a new one", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder();
    const attachment = await rig.attach(peer);
    store.fail();
    const failed = await rig.publish({ text: "1", qos: 1, retain: true }, { once: "t/1" });
    expect(failed).toMatchObject({ at: "refused", reason: "store-failed", outcomes: [] });
    store.heal();
    expect((await rig.publish({ text: "1", qos: 1, retain: true }, { once: "t/1" })).at).toBe("stored");
    await settle();
    expect(peer.texts).toEqual(["1"]);
    expect(attachment.ledger()).toMatchObject({ accepted: 1, delivered: 1 });
  });

  test("a failed commit keeps its outcomes for the next", async () => {
    const inner = createMemoryStore();
    const store = createFaultyStore(inner);
    await using rig = await createRig({ store });
    const peer = createRecorder({ durable: true }, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "1", qos: 1 });
    store.fail();
    await lastCall(peer).answer();
    await settle(20);
    expect(await inner.waiting("peer", 0, 10)).toHaveLength(1);
    store.heal();
    await rig.clock.advance(10_000);
    expect(await inner.waiting("peer", 0, 10)).toEqual([]);
  });

  test("closing does not wait for ever", async () => {
    const store = createFaultyStore(createMemoryStore());
    const rig = await createRig({ store });
    await settle();
    store.hang();
    const publishing = rig.publish({ text: "1", qos: 1 });
    await settle();
    await rig[Symbol.asyncDispose]();
    expect((await publishing).at).toBe("refused");
    expect(rig.clock.pending()).toBe(0);
  });
});
