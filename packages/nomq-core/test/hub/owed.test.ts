import { createMemoryStore, type Store } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, settle } from "./hub-rig.ts";

describe("owed values, one at a time and once", () => {
  test("a message that comes while an added filter is looked up brings no value of another channel again", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder({ retained: "deliver", filters: ["a/b"] });
    const attachment = await rig.attach(peer);
    await rig.publish({ text: "value", retain: true });
    store.hang("everything");
    await attachment.change({ add: ["c"] });
    await rig.publish({ text: "live" });
    store.heal();
    await settle();
    expect(peer.texts).toEqual(["value", "live"]);
  });

  test("a value read for a window that is full waits for no others to be read", async () => {
    await using rig = await createRig();
    for (const channel of ["a", "b", "c"]) {
      await rig.publish({ channel, text: "1", retain: true });
      await rig.publish({ channel, text: "", retain: true });
    }
    const peer = createRecorder({ retained: "deliver" }, "asks");
    const attachment = await rig.attach(peer);
    attachment.repair();
    await settle();
    expect(peer.calls).toHaveLength(1);
    expect(attachment.ledger().pending).toBe(1);
  });

  test("a value whose change was open at the attach is sent once", async () => {
    const inner = createMemoryStore();
    const listing = Promise.withResolvers<void>();
    const store: Store = Object.assign(Object.create(inner), {
      retained: async (...wanted: Parameters<Store["retained"]>) => {
        await listing.promise;
        return inner.retained.apply(store, wanted);
      },
    });
    await using rig = await createRig({ store });
    const published = rig.publish({ text: "value", retain: true });
    const peer = createRecorder({ retained: "deliver" });
    await rig.attach(peer);
    await published;
    expect(peer.texts).toEqual(["value"]);
    listing.resolve();
    await settle();
    expect(peer.texts).toEqual(["value"]);
  });
});
