import { createMemoryStore, type Message } from "@nomq/core";
import { collected, createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRig } from "./hub-rig.ts";

const texts = async (messages: AsyncIterable<Message>): Promise<string[]> =>
  (await collected(messages)).map(({ payload }) => Buffer.from(payload).toString());

describe("a channel's history", () => {
  test("is read by number and by time, oldest first, over a restart", async () => {
    const clock = createFakeClock();
    const store = createMemoryStore({ clock });
    const rig = await createRig({ store, clock });
    for (const text of ["1", "2", "3"]) {
      await rig.publish({ text, qos: 1 });
      await rig.clock.advance(1_000);
    }
    await rig[Symbol.asyncDispose]();
    await using again = await createRig({ store, clock });
    const read = (range: { last?: number; since?: number }): Promise<string[]> =>
      texts(again.port.history("a/b", range, "anonymous"));
    expect(await read({})).toEqual(["1", "2", "3"]);
    expect(await read({ last: 2 })).toEqual(["2", "3"]);
    expect(await read({ since: again.clock.now() - 2_000 })).toEqual(["2", "3"]);
    expect(await texts(again.port.history("a", {}, "anonymous"))).toEqual([]);
  });

  test("is shown to those who may subscribe, and ends where the right ends", async () => {
    let left = 2;
    const may = (who: string, action: string): boolean => {
      if (action === "publish" || who === "user:all") return true;
      left -= 1;
      return who === "user:briefly" && left >= 0;
    };
    await using rig = await createRig({ access: { may } });
    for (const text of ["1", "2"]) await rig.publish({ text, qos: 1 });
    const read = (as: "user:all" | "user:briefly" | "anonymous"): Promise<string[]> =>
      texts(rig.port.history("a/b", {}, as));
    expect(await read("user:briefly")).toEqual(["1"]);
    expect(await read("anonymous")).toEqual([]);
    expect(await read("user:all")).toEqual(["1", "2"]);
  });

  test("has no message that has expired", async () => {
    await using rig = await createRig();
    await rig.publish({ text: "short", qos: 1, ttlMs: 1_000 });
    await rig.publish({ text: "long", qos: 1, ttlMs: 5_000 });
    await rig.clock.advance(1_000);
    expect(await texts(rig.port.history("a/b", {}, "anonymous"))).toEqual(["long"]);
  });
});
