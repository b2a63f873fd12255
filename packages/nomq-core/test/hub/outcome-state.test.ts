import { createMemoryStore } from "@nomq/core";
import { collected } from "@nomq/core/testing";
import { expect, test } from "vitest";
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
