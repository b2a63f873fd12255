import { type Bridge, createHub, createMemoryStore, type Port, type Receipt } from "@nomq/core";
import { createFakeClock, createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { closeInTime, createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

const sum = (row: { dropped: Readonly<Record<string, number>> }): number =>
  Object.values(row.dropped).reduce((total, count) => total + count, 0);

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
  }, 60_000);

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

describe("ledger and receipts", () => {
  test("the row balances at every moment, and over a restart", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    const peer = createRecorder({ durable: true, outbox: { messages: 3 } }, "asks");
    const attachment = await rig.attach(peer);
    for (let at = 0; at < 6; at += 1) {
      await rig.publish({ channel: `${at}`, qos: (at % 3) as 0 | 1 | 2 });
      const row = attachment.ledger();
      expect(row.accepted).toBe(
        row.delivered + row.expired + sum(row) + row.refused + row.uncertain + row.pending,
      );
    }
    await lastCall(peer).answer({ is: "refused", reason: "no" });
    await lastCall(peer).answer({ is: "uncertain", reason: "no PUBCOMP" });
    const before = attachment.ledger();
    expect(before).toMatchObject({ accepted: 6, refused: 1, uncertain: 1 });
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store, clock: rig.clock });
    expect(next.hub.attachments()[0]?.ledger).toEqual(before);
  });

  test("QoS 0 that a restart takes is dropped: restart", async () => {
    const store = createMemoryStore();
    const faulty = createFaultyStore(store);
    const rig = await createRig({ store: faulty });
    await rig.attach(createRecorder({ durable: true }, "asks"));
    await rig.publish({ text: "0" });
    await rig.publish({ text: "1", qos: 1 });
    await rig.clock.advance(1_000);
    const crashed = faulty.crash("out");
    await using next = await createRig({ store: crashed, clock: createFakeClock() });
    expect(next.hub.attachments()[0]?.ledger).toMatchObject({
      accepted: 2,
      dropped: { restart: 1 },
      pending: 1,
    });
  });

  test("a volatile peer's counts hold over a restart too", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    await rig.attach(createRecorder());
    await rig.publish({ text: "0" });
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store });
    const attachment = await next.attach(createRecorder());
    expect(attachment.ledger()).toMatchObject({ accepted: 1, delivered: 1 });
  });

  test("QoS 1 read back from the store starts at attempt 2, QoS 2 where it was", async () => {
    const faulty = createFaultyStore(createMemoryStore());
    const rig = await createRig({ store: faulty });
    const peer = createRecorder({ durable: true }, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "called", text: "called", qos: 2 });
    await rig.publish({ channel: "not", text: "not called", qos: 2 });
    await rig.publish({ channel: "one", text: "one", qos: 1 });
    await settle(10);
    expect(peer.texts).toEqual(["called"]);
    await using next = await createRig({ store: faulty.crash("in"), clock: createFakeClock() });
    const again = createRecorder({ durable: true, window: 5 });
    await next.attach(again);
    await settle(20);
    expect(Object.fromEntries(again.calls.map((call) => [call.text, call.delivery.attempt]))).toEqual({
      called: 2,
      "not called": 1,
      one: 2,
    });
  });

  test("a right withdrawn ends what waits as refused: access", async () => {
    let allowed = true;
    await using rig = await createRig({ access: { may: (_who, action) => action === "publish" || allowed } });
    const peer = createRecorder({}, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "a" });
    const { id } = await rig.publish({ channel: "b", qos: 1 });
    allowed = false;
    await lastCall(peer).answer();
    expect(peer.calls).toHaveLength(1);
    expect((await rig.port.receipt(id))?.outcomes).toMatchObject([{ is: "refused", reason: "access" }]);
    expect(attachment.ledger()).toMatchObject({ delivered: 1, refused: 1 });
    expect((await rig.publish({ channel: "c" })).outcomes).toEqual([]);
  });

  test("a payload too large for the peer is refused there", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder({ maxPayload: 3 }));
    const { outcomes } = await rig.publish({ text: "four", qos: 1 }, { until: "delivered" });
    expect(outcomes).toMatchObject([{ is: "refused", reason: "too-large" }]);
  });

  test("until delivered resolves when every outcome is final", async () => {
    await using rig = await createRig();
    const quick = createRecorder({ name: "quick" });
    const slow = createRecorder({ name: "slow" }, "asks");
    await rig.attach(quick);
    await rig.attach(slow);
    let receipt: Receipt | undefined;
    const publishing = rig.publish({ qos: 1 }, { until: "delivered" }).then((told) => {
      receipt = told;
    });
    await settle();
    expect(receipt).toBeUndefined();
    await lastCall(slow).answer({ is: "uncertain", reason: "gone" });
    await publishing;
    expect(receipt).toMatchObject({
      at: "stored",
      outcomes: [{ is: "delivered" }, { is: "uncertain", reason: "gone" }],
    });
  });

  test("nobody to deliver to: delivered is reached with no outcomes", async () => {
    await using rig = await createRig();
    expect(await rig.publish({ qos: 1 }, { until: "delivered" })).toMatchObject({
      at: "delivered",
      outcomes: [],
    });
    expect(await rig.publish({ qos: 1 })).toMatchObject({ at: "stored", outcomes: [] });
  });

  test("a receipt can be followed to its end", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    const { id } = await rig.publish({ qos: 1 });
    const seen: string[] = [];
    const following = (async () => {
      for await (const receipt of rig.port.follow(id)) seen.push(`${receipt.at} ${receipt.outcomes[0]?.is}`);
    })();
    await settle();
    await lastCall(peer).answer();
    await following;
    expect(seen).toEqual(["stored pending", "delivered delivered"]);
    const unknown: Receipt[] = [];
    for await (const receipt of rig.port.follow("no such id")) unknown.push(receipt);
    expect(unknown).toEqual([]);
  });

  test("a message of an earlier run can be followed too", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    const attachment = await rig.attach(createRecorder({ durable: true }));
    await attachment[Symbol.asyncDispose]();
    const { id } = await rig.publish({ qos: 1 });
    await rig[Symbol.asyncDispose]();
    await using next = await createRig({ store, clock: rig.clock });
    const seen: string[] = [];
    const following = (async () => {
      for await (const receipt of next.port.follow(id)) seen.push(receipt.at);
    })();
    await settle();
    await next.attach(createRecorder({ durable: true }));
    await following;
    expect(seen).toEqual(["stored", "delivered"]);
  });

  test("seq rises and is never reused; ids differ", async () => {
    const store = createMemoryStore();
    const seqs: number[] = [];
    const ids = new Set<string>();
    for (let run = 0; run < 3; run += 1) {
      await using rig = await createRig({ store });
      const peer = createRecorder();
      await rig.attach(peer);
      for (let at = 0; at < 3; at += 1) ids.add((await rig.publish({ qos: at === 0 ? 1 : 0 })).id);
      await settle();
      for (const { message } of peer.calls.toSorted((a, b) => a.message.seq - b.message.seq))
        seqs.push(message.seq);
    }
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(new Set(seqs).size).toBe(9);
    expect(ids.size).toBe(9);
  });
});

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
