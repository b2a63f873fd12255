import { createMemoryStore } from "@nomq/core";
import { collected } from "@nomq/core/testing";
import { expect, test, vi } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

test("state in a delivered outcome is committed with the end of the message", async () => {
  const store = createMemoryStore();
  const commits: string[][] = [];
  const { commit } = store;
  store.commit = (batch) => {
    commits.push([...batch.facts, ...batch.offers].map(({ write }) => write));
    return commit.call(store, batch);
  };
  await using rig = await createRig({ store });
  const recorder = createRecorder({ durable: true }, "asks");
  await rig.attach(recorder);
  await rig.publish({ text: "m", qos: 1 });
  await settle();
  const state = [{ key: Uint8Array.of(1), value: Uint8Array.of(7) }];
  await lastCall(recorder).answer({ is: "delivered", state });
  await settle();
  expect(commits.filter((writes) => writes.includes("outcome"))).toEqual([["outcome", "state"]]);
  const [[key, value] = []] = await collected(rig.port.state());
  expect([key, value]).toEqual([Uint8Array.of(1), Uint8Array.of(7)]);
});

test("thousands of ends are several commits, each end with its state", async () => {
  const store = createMemoryStore();
  const commits: (readonly string[])[] = [];
  const { commit } = store;
  store.commit = (batch) => {
    commits.push(batch.facts.map(({ write }) => write));
    return commit.call(store, batch);
  };
  await using rig = await createRig({ store });
  const recorder = createRecorder({ durable: true, window: 2_500 }, "asks");
  const attachment = await rig.attach(recorder);
  await Promise.all(Array.from({ length: 2_500 }, (_, at) => rig.publish({ channel: `c/${at}`, qos: 1 })));
  await vi.waitUntil(() => recorder.calls.length === 2_500);
  commits.length = 0;
  const state = [1, 2].map((key) => ({ key: Uint8Array.of(key), value: Uint8Array.of(7) }));
  for (const call of recorder.calls) void call.answer({ is: "delivered", state });
  await rig.port.remember([{ key: Uint8Array.of(1), value: Uint8Array.of(8) }]);
  expect(Math.max(...commits.map((facts) => facts.length))).toBeLessThan(1_100);
  for (const facts of commits) {
    const ends = facts.filter((write) => write === "outcome").length;
    expect(facts.filter((write) => write === "state").length).toBeGreaterThanOrEqual(2 * ends);
  }
  expect(commits.flat().filter((write) => write === "outcome")).toHaveLength(2_500);
  expect(attachment.ledger()).toMatchObject({ delivered: 2_500, pending: 0 });
  // What was remembered after them was written after them.
  expect(await collected(rig.port.state())).toEqual([
    [Uint8Array.of(1), Uint8Array.of(8)],
    [Uint8Array.of(2), Uint8Array.of(7)],
  ]);
});
