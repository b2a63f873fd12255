import { type AttachmentState, createMemoryStore } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { closeInTime, createRecorder, createRig, lastCall, type Rig, settle } from "./hub-rig.ts";

const stateOf = ({ hub }: Rig, name = "peer"): AttachmentState | undefined =>
  hub.attachments().find((state) => state.name === name);

describe("whether an attachment moves", () => {
  test("a peer that answers has moved, and nothing stands still", async () => {
    await using rig = await createRig();
    await rig.attach(createRecorder());
    await rig.clock.advance(10_000);
    expect(stateOf(rig)?.progress).toEqual({ open: 0 });
    await rig.publish({ qos: 1 });
    await rig.clock.advance(10_000);
    expect(stateOf(rig)?.progress).toEqual({ open: 0, movedAt: rig.clock.now() });
    const then = rig.clock.now();
    await rig.clock.advance(60_000);
    expect(stateOf(rig)?.progress).toEqual({ open: 0, movedAt: then });
  });

  test("one that takes nothing stands still since the look that found it so, in wall time", async () => {
    await using rig = await createRig();
    const silent = createRecorder({ window: 2 }, "asks");
    await rig.attach(silent);
    for (const channel of ["a", "b", "c"]) await rig.publish({ channel, qos: 1 });
    await rig.clock.advance(10_000);
    const since = rig.clock.now();
    await rig.clock.advance(50_000);
    expect(stateOf(rig)?.progress).toEqual({ open: 2, stillSince: since });
    rig.clock.step(3_600_000);
    expect(stateOf(rig)?.progress.stillSince).toBe(since + 3_600_000);
    await lastCall(silent).answer();
    await rig.clock.advance(10_000);
    const moved = rig.clock.now();
    expect(stateOf(rig)?.progress).toEqual({ open: 2, movedAt: moved, stillSince: moved });
    for (const call of silent.calls.filter(({ isOpen }) => isOpen)) await call.answer();
    expect(stateOf(rig)?.progress).not.toHaveProperty("stillSince");
  });

  test("answers to try again, and messages that expire unseen, are no movement", async () => {
    await using rig = await createRig();
    const silent = createRecorder({}, "asks");
    await rig.attach(silent);
    const begun = rig.clock.now();
    for (let round = 0; round < 12; round += 1) {
      await rig.publish({ qos: 1, ttlMs: 8_000 });
      await lastCall(silent).answer({ is: "retry", reason: "unanswered", afterMs: 1_000 });
      await rig.clock.advance(5_000);
    }
    expect(stateOf(rig)?.ledger.expired).toBeGreaterThan(5);
    expect(stateOf(rig)?.progress.stillSince).toBe(begun + 10_000);
  });

  test("one that is paused or away does not stand still: it cannot move", async () => {
    await using rig = await createRig();
    const attachment = await rig.attach(createRecorder({ durable: true }, "asks"));
    await rig.publish({ qos: 1 });
    attachment.pause("reconnecting");
    await rig.clock.advance(60_000);
    expect(stateOf(rig)).toMatchObject({ state: "paused", ledger: { pending: 1 } });
    expect(stateOf(rig)?.progress).toEqual({ open: 1 });
    await closeInTime(attachment, rig.clock);
    await rig.clock.advance(60_000);
    expect(stateOf(rig)?.progress).toEqual({ open: 0 });
  });

  test("what it gets or does not get shows at no other attachment", async () => {
    await using rig = await createRig();
    const silent = createRecorder({ name: "silent" }, "asks");
    const well = createRecorder({ name: "well" });
    await rig.attach(silent);
    await rig.attach(well);
    for (let count = 0; count < 100; count += 1) await rig.publish({ channel: `c${count % 7}`, qos: 1 });
    // Where the machine was busy with others, the hub's share of this turn is spent before the last call.
    await settle();
    expect(well.calls).toHaveLength(100);
    expect(silent.calls).toHaveLength(1);
    await rig.clock.advance(60_000);
    expect(stateOf(rig, "silent")?.progress).toHaveProperty("stillSince");
    expect(stateOf(rig, "well")?.progress).toEqual({ open: 0, movedAt: expect.any(Number) });
  });
});

describe("whether the store takes what it is given", () => {
  test("a commit that does not end stands still, and what waits is counted", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    expect(rig.hub.store()).toEqual({ waiting: 0 });
    store.hang();
    const waiting = ["a", "b"].map((channel) => rig.publish({ channel, qos: 1, retain: true }));
    await settle();
    await rig.clock.advance(10_000);
    const since = rig.clock.now();
    await rig.clock.advance(30_000);
    expect(rig.hub.store()).toEqual({ waiting: expect.any(Number), stillSince: since });
    expect(rig.hub.store().waiting).toBeGreaterThanOrEqual(1);
    store.heal();
    await Promise.all(waiting);
    expect(rig.hub.store()).toEqual({ waiting: 0 });
  });
});
