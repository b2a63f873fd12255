import { expect, test } from "vitest";
import { channelId } from "../../src/index.ts";
import { createChannelNames } from "../../src/node/channel-names.ts";

const COUNT = 5_000;
const nameOf = (at: number): string => `line/${at}/temperature`;

test("every name is found by its id and gives it, however many there are", () => {
  const names = createChannelNames(COUNT);
  for (let at = 0; at < COUNT; at += 1) expect(names.learn(nameOf(at))).toBe(true);
  for (let at = 0; at < COUNT; at += 1) {
    const id = channelId(nameOf(at));
    expect(names.find(id)).toBe(nameOf(at));
    expect(Buffer.compare(names.idOf(nameOf(at)), id)).toBe(0);
  }
  expect(names.find(channelId("line/none"))).toBeUndefined();
  expect(Buffer.compare(names.idOf("line/none"), channelId("line/none"))).toBe(0);
});

test("a full table takes no further name and keeps those it has; no channel name is none", () => {
  const names = createChannelNames(2);
  expect([names.learn("a"), names.learn("b"), names.learn("c"), names.learn("a")]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(names.find(channelId("c"))).toBeUndefined();
  expect(createChannelNames(2).learn("a/#")).toBe(false);
  expect(names.learn("")).toBe(false);
  // What a device publishes on the empty name is the hub's to refuse.
  expect(names.find(channelId(""))).toBe("");
});

test("what peers say fills seven eighths, in names and in bytes, and leaves the rest for our own", () => {
  const names = createChannelNames(80);
  const heard = Array.from({ length: 80 }, (_, at) => names.hear(`heard/${at}`));
  expect(heard.filter((isTaken) => isTaken)).toHaveLength(70);
  expect(names.hear("heard/0")).toBe(true);
  const own = Array.from({ length: 20 }, (_, at) => names.learn(`own/${at}`));
  expect(own.filter((isTaken) => isTaken)).toHaveLength(10);

  const roomy = createChannelNames(10_000);
  const long = Array.from({ length: 100 }, (_, at) => roomy.hear("x".repeat(60_000) + at));
  expect(long.filter((isTaken) => isTaken)).toHaveLength(10);
  expect(roomy.hear("short")).toBe(true);
  expect(roomy.learn("y".repeat(60_000))).toBe(true);
});
