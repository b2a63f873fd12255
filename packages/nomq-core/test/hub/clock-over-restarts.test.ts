import { type Boot, createMemoryStore } from "@nomq/core";
import { createFakeClock, createFaultyStore, type FakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, settle } from "./hub-rig.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The clock as a process sees it that starts `downMs` later, in the same boot of the system or in another. */
function nextRun(before: FakeClock, at: { downMs: number; setBy?: number; boot?: string }): FakeClock {
  const { downMs, setBy = 0, boot } = at;
  const clock = createFakeClock(before.now() + downMs + setBy);
  const passed = (before.boot?.()?.ms ?? 0) + downMs;
  return Object.assign(clock, { boot: (): Boot => ({ id: boot ?? "one", ms: passed + clock.monotonic() }) });
}

const firstRun = (): FakeClock => nextRun(createFakeClock(), { downMs: 0 });

describe("expiries over restarts and steps of the wall clock", () => {
  test("a step in one run counts in the next: nothing expires early, nothing lives on", async () => {
    const store = createMemoryStore();
    const first = await createRig({ store, clock: firstRun() });
    const away = await first.attach(createRecorder({ durable: true, filters: ["wait"] }));
    away.pause("away");
    await first.publish({ channel: "wait", text: "w", qos: 1, ttlMs: 60_000 });
    await first.publish({ channel: "kept", text: "k", qos: 1, retain: true, ttlMs: 60_000 });
    first.clock.step(DAY);
    await first.clock.advance(20_000);
    await first[Symbol.asyncDispose]();

    const clock = nextRun(first.clock, { downMs: 10_000 });
    await using next = await createRig({ store, clock });
    expect((await next.port.latest("kept", "anonymous"))?.expiresAt).toBe(clock.now() + 30_000);
    const peer = createRecorder({ durable: true, filters: ["wait"] }, "asks");
    const again = await next.attach(peer);
    expect(peer.texts).toEqual(["w"]);
    expect(peer.calls[0]?.delivery.expiresInMs).toBe(30_000);
    await clock.advance(30_000);
    expect(await next.port.latest("kept", "anonymous")).toBeUndefined();
    await peer.calls[0]?.answer({ is: "retry", reason: "late" });
    expect(again.ledger()).toMatchObject({ expired: 1, pending: 0 });
  });

  test.each([
    ["forward by a day, in the same boot", { setBy: DAY }, 30_000],
    ["back by a day, in the same boot", { setBy: -DAY }, 30_000],
    ["not at all", {}, 30_000],
    [
      "forward, over a boot: time that passed, as far as anybody can tell",
      { setBy: DAY, boot: "two" },
      undefined,
    ],
    [
      "back, over a boot: no time has passed, as far as anybody can tell",
      { setBy: -DAY, boot: "two" },
      40_000,
    ],
  ])("set while nobody ran: %s", async (_, at, left) => {
    const store = createMemoryStore();
    const first = await createRig({ store, clock: firstRun() });
    await first.publish({ channel: "kept", text: "k", qos: 1, retain: true, ttlMs: 60_000 });
    await first.clock.advance(20_000);
    await first[Symbol.asyncDispose]();
    const clock = nextRun(first.clock, { downMs: 10_000, ...at });
    await using next = await createRig({ store, clock });
    const value = await next.port.latest("kept", "anonymous");
    expect(value?.expiresAt).toBe(left === undefined ? undefined : clock.now() + left);
  });

  test("killed, the clock is at most a minute old, and steps are known at once", async () => {
    const inner = createFaultyStore(createMemoryStore());
    const first = await createRig({ store: inner, clock: firstRun() });
    await first.clock.advance(70_000);
    await first.publish({ channel: "kept", text: "k", qos: 1, retain: true, ttlMs: 2 * HOUR });
    first.clock.step(HOUR);
    await first.publish({ channel: "other" });
    await settle();
    const left = inner.crash("out");
    const clock = nextRun(first.clock, { downMs: 1_000 });
    await using next = await createRig({ store: left, clock });
    expect((await next.port.latest("kept", "anonymous"))?.expiresAt).toBe(clock.now() + 2 * HOUR - 1_000);
  });
});

describe("unclaimed for 30 days", () => {
  test("is counted over runs, and begins anew with each claim", async () => {
    const store = createMemoryStore();
    let rig = await createRig({ store, clock: firstRun() });
    for (const name of ["gone", "seldom"]) {
      await rig.attach(createRecorder({ name, durable: true }));
    }
    await rig[Symbol.asyncDispose]();
    for (let day = 0; day < 31; day += 1) {
      rig = await createRig({ store, clock: nextRun(rig.clock, { downMs: DAY / 2 }) });
      if (day === 20) await rig.attach(createRecorder({ name: "seldom", durable: true }));
      await rig.clock.advance(DAY / 2);
      await rig[Symbol.asyncDispose]();
    }
    await using last = await createRig({ store, clock: nextRun(rig.clock, { downMs: 0 }) });
    expect(last.hub.attachments().map(({ name }) => name)).toEqual(["seldom"]);
  });
});

describe("a retained change that was refused", () => {
  test("is corrected at its source after a crash, also on a channel that the store has never held", async () => {
    const inner = createFaultyStore(createMemoryStore());
    const first = await createRig({ store: inner });
    const source = createRecorder(
      { name: "source", durable: true, retained: "deliver", echoes: false },
      "asks",
    );
    const attachment = await first.attach(source);
    attachment.pause("cut");
    const full = { messages: 1, bytes: 1_000, whenFull: "refuse" } as const;
    const strict = await first.attach(createRecorder({ name: "strict", durable: true, outbox: full }));
    strict.pause("full");
    await first.publish({ channel: "filler", qos: 1 });
    const refused = await first.publish(
      { channel: "own/state", text: "mine", qos: 1, retain: true },
      { attachment: "source" },
    );
    expect(refused).toMatchObject({ at: "refused", reason: "outbox-full: strict" });
    await settle();
    await using next = await createRig({ store: inner.crash("out"), clock: first.clock });
    const again = createRecorder({ name: "source", durable: true, retained: "deliver", echoes: false });
    await next.attach(again);
    await settle();
    const corrections = (): unknown[] =>
      again.calls.filter(({ delivery }) => delivery.cause === "repair").map(({ message }) => message.channel);
    expect(corrections()).toEqual(["own/state"]);
    expect(again.calls.find(({ message }) => message.channel === "own/state")?.text).toBe("");
    await settle();
    // Once is enough.
    let kept = 0;
    for await (const [key] of next.store.state("$hub"))
      if (Buffer.from(key).toString().startsWith("owed/")) kept += 1;
    expect(kept).toBe(0);
  });
});
