import { createStatusFeed } from "@nomq/core";
import { expect, test } from "vitest";

test("each reader begins with the current status, skips what it missed and ends after closed", async () => {
  const feed = createStatusFeed(() => 5);
  feed.set("starting");
  const fast = feed.changes()[Symbol.asyncIterator]();
  const slow = feed.changes()[Symbol.asyncIterator]();
  expect((await fast.next()).value).toEqual({ state: "starting", since: 5 });
  expect((await slow.next()).value).toEqual({ state: "starting", since: 5 });
  const next = fast.next();
  feed.set("ready");
  expect((await next).value).toMatchObject({ state: "ready" });
  feed.set("reconnecting", "link lost");
  expect((await slow.next()).value).toMatchObject({ state: "reconnecting", reason: "link lost" });
  feed.set("closed");
  expect((await slow.next()).value).toMatchObject({ state: "closed" });
  expect(await slow.next()).toMatchObject({ done: true });
  expect((await fast.next()).value).toMatchObject({ state: "closed" });
  expect(await fast.next()).toMatchObject({ done: true });
});

test("the same status again wakes nobody and keeps its time", async () => {
  let now = 1;
  const feed = createStatusFeed(() => now);
  feed.set("ready");
  now = 2;
  feed.set("ready");
  expect(feed.current().since).toBe(1);
});

test("an abort ends a reader that waits", async () => {
  const feed = createStatusFeed(() => 0);
  feed.set("ready");
  const stop = new AbortController();
  const reader = feed.changes({ signal: stop.signal })[Symbol.asyncIterator]();
  await reader.next();
  const waiting = reader.next();
  stop.abort();
  expect(await waiting).toMatchObject({ done: true });
});
