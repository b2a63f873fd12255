import { createMemoryStore, type Receipt } from "@nomq/core";
import { createFakeClock, createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

const sum = (row: { dropped: Readonly<Record<string, number>> }): number =>
  Object.values(row.dropped).reduce((total, count) => total + count, 0);

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

  test("a transfer of an earlier run, repeated just as its message is delivered, is answered", async () => {
    const store = createMemoryStore();
    const transfer = { once: "nomq/site/1/2", until: "delivered" } as const;
    {
      await using rig = await createRig({ store });
      await rig.attach(createRecorder({ durable: true }, "asks"));
      void rig.publish({ qos: 1, text: "late" }, transfer);
      await settle();
    }
    await using rig = await createRig({ store });
    const peer = createRecorder({ durable: true }, "asks");
    await rig.attach(peer);
    // The end is the hub's already and not the store's yet.
    void lastCall(peer).answer();
    await Promise.resolve();
    await Promise.resolve();
    const repeated = await rig.publish({ qos: 1, text: "late" }, transfer);
    expect(repeated).toMatchObject({ at: "delivered", outcomes: [{ attachment: "peer", is: "delivered" }] });
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
