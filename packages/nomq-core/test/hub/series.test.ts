import { createMemoryStore, type PublishOptions, type Receipt } from "@nomq/core";
import { createFakeClock, createFaultyStore, type FaultyStore, settle } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, type Rig } from "./hub-rig.ts";

interface FaultyRig extends Rig {
  readonly store: FaultyStore;
}

async function faultyRig(options: Parameters<typeof createRig>[0] = {}): Promise<FaultyRig> {
  const clock = createFakeClock();
  const store = createFaultyStore(createMemoryStore({ clock }));
  return { ...(await createRig({ ...options, clock, store })), store };
}

/** Each in a commit of its own, the first of which fails. */
async function inCommits(rig: FaultyRig, all: readonly PublishOptions[]): Promise<readonly Receipt[]> {
  rig.store.hang();
  const publishing: Promise<Receipt>[] = [];
  for (const [at, options] of all.entries()) {
    publishing.push(rig.publish({ text: String(at), qos: 1 }, options));
    await settle();
  }
  rig.store.fail();
  rig.store.heal();
  await rig.clock.advance(1_000);
  return Promise.all(publishing);
}

const reasons = (receipts: readonly Receipt[]): unknown => receipts.map(({ at, reason }) => reason ?? at);

describe("messages of one series", () => {
  test("do not pass one that a commit lost; others do", async () => {
    await using rig = await faultyRig();
    const peer = createRecorder();
    await rig.attach(peer);
    const series = {};
    const receipts = await inCommits(rig, [{ series }, { series }, { series: {} }, {}]);
    expect(reasons(receipts)).toEqual(["store-failed", "out-of-order", "stored", "stored"]);
    expect(peer.texts).toEqual(["2", "3"]);
  });

  test("go on with another object", async () => {
    await using rig = await faultyRig();
    const series = {};
    await inCommits(rig, [{ series }]);
    expect(await rig.publish({ text: "a", qos: 1 }, { series })).toMatchObject({ reason: "out-of-order" });
    expect(await rig.publish({ text: "b" }, { series })).toMatchObject({ reason: "out-of-order" });
    expect(await rig.publish({ text: "a", qos: 1 }, { series: {} })).toMatchObject({ at: "stored" });
  });

  test("do not pass one for which there was no room", async () => {
    await using rig = await faultyRig({ limits: { waitingBytes: 100 } });
    rig.store.hang();
    const series = {};
    void rig.publish({ text: "x".repeat(60), qos: 1 }, { series });
    await settle();
    void rig.publish({ text: "x".repeat(60), qos: 1 }, { series });
    const large = await rig.publish({ text: "x".repeat(60), qos: 1 }, { series });
    const small = await rig.publish({ text: "x", qos: 1 }, { series });
    expect(reasons([large, small])).toEqual(["store-busy", "out-of-order"]);
    rig.store.heal();
  });

  test.each([{}, { ttlMs: 0 }])("do not pass one that met a full outbox (%o)", async (draft) => {
    await using rig = await faultyRig();
    const full = createRecorder({ name: "full", outbox: { messages: 1, whenFull: "refuse" } }, "asks");
    await rig.attach(full);
    await rig.publish({ text: "0", qos: 1 });
    const series = {};
    const refused = await rig.publish({ text: "1", qos: 1, ...draft }, { series });
    const behind = await rig.publish({ text: "2", qos: 1, channel: "c" }, { series });
    expect(reasons([refused, behind])).toEqual(["outbox-full: full", "out-of-order"]);
  });

  test("pass one that may not enter at all", async () => {
    await using rig = await faultyRig();
    const series = {};
    const refused = await rig.publish({ text: "1", qos: 1, priority: 16 }, { series });
    const next = await rig.publish({ text: "2", qos: 1 }, { series });
    expect(reasons([refused, next])).toEqual(["priority-invalid", "stored"]);
  });
});

describe("what is written with a message", () => {
  const key = (name: string): Uint8Array => Buffer.from(name);
  const remembered = async (rig: Rig): Promise<readonly string[]> => {
    const names: string[] = [];
    for await (const [name] of rig.port.state()) names.push(Buffer.from(name).toString());
    return names.toSorted();
  };
  const both = (name: string): PublishOptions => ({
    state: [{ key: key(`state ${name}`), value: key("x") }],
    marks: [{ key: key(`mark ${name}`), value: key("x") }],
  });

  test("marks go with it into its commit, and are lost with it; state is not", async () => {
    await using rig = await faultyRig();
    const receipts = await inCommits(rig, [both("1"), both("2")]);
    expect(reasons(receipts)).toEqual(["store-failed", "stored"]);
    expect(await remembered(rig)).toEqual(["mark 2", "state 1", "state 2"]);
  });

  test("so it is with a message refused before its commit", async () => {
    await using rig = await faultyRig();
    await rig.attach(createRecorder({ name: "full", outbox: { messages: 1, whenFull: "refuse" } }, "asks"));
    await rig.publish({ text: "0", qos: 1 });
    expect(await rig.publish({ text: "1", qos: 1 }, both("1"))).toMatchObject({ at: "refused" });
    await settle();
    expect(await remembered(rig)).toEqual(["state 1"]);
  });

  test("a message that leaves nothing in the store has its marks written behind it", async () => {
    await using rig = await faultyRig();
    await rig.publish({ text: "1" }, { marks: [{ key: key("mark"), value: key("x") }] });
    await settle();
    expect(await remembered(rig)).toEqual(["mark"]);
  });
});
