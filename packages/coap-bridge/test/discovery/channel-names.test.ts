import { settle } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { type ChannelNames, createChannelNames } from "../../src/discovery/channel-names.ts";

/** A list that has been told these names, one after the other. */
async function told(names: readonly string[], most: number): Promise<ChannelNames> {
  const list = createChannelNames(most);
  async function* channels(): AsyncGenerator<string> {
    yield* names;
  }
  list.start({ channels });
  await settle();
  return list;
}

const held = (list: ChannelNames): (string | undefined)[] =>
  Array.from({ length: list.end() - list.begin() }, (_, at) => list.at(list.begin() + at));

test("a place always says the same name, or none any more", async () => {
  const names = Array.from({ length: 100 }, (_, at) => `channel/${at}`);
  const list = await told(names, 10);
  expect(held(list)).toEqual(names.slice(90));
  for (let place = 0; place < 120; place += 1)
    expect(list.at(place)).toBe(place < 90 ? undefined : names[place]);
});

test("a name that the hub tells again is there once, also after it was dropped here", async () => {
  expect(held(await told(["a", "b", "a", "c"], 10))).toEqual(["a", "b", "c"]);
  expect(held(await told(["a", "b", "c", "a", "b"], 2))).toEqual(["a", "b"]);
});

test("a hub that is closed has no names", async () => {
  const list = createChannelNames();
  list.start({
    channels: () => {
      throw new Error("closed");
    },
  });
  await settle();
  expect([list.begin(), list.end()]).toEqual([0, 0]);
});
