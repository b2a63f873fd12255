import { expect, test } from "vitest";
import { item, scripted } from "./scripted-world.ts";

const delayed = (by: string): string =>
  `<delay xmlns='urn:xmpp:delay' from='${by}' stamp='2026-01-01T00:00:00Z'/>`;

test("what the account's server kept is from before the session: the node's history has it, in its order", async () => {
  await using it = await scripted("n");
  it.online(false);
  await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
  it.tell("n", item("e1", "1"), "", delayed("h"));
  it.tell("n", "<retract id='current'/>", "", delayed("h"));
  it.tell("n", item("e2", "2"), "", delayed("pubsub.h"));
  await expect.poll(() => it.texts).toEqual(["2"]);
  expect(it.receiving.counts().stored).toBe(2);
});

test("in a session that was resumed it is what came while the connection was away", async () => {
  await using it = await scripted("n");
  it.online(false);
  await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
  it.online(true);
  it.tell("n", item("e1", "1"), "", delayed("h"));
  await expect.poll(() => it.texts).toEqual(["1"]);
  expect(it.receiving.counts().stored).toBe(0);
});
