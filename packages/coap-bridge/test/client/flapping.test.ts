import { silentLog } from "@nomq/core";
import { expect, test } from "vitest";
import { Response } from "../../src/wire/code.ts";
import { CHANNEL, observing, stateOf, willing } from "./observing.ts";
import { createWorld, text } from "./world.ts";

test("a sensor that comes and goes a thousand times fills no log, and its channel follows to the end", async () => {
  const lines: string[] = [];
  const add = (line: string): void => void lines.push(line);
  await using world = await createWorld({
    client: observing(),
    prepare: willing(),
    log: { ...silentLog, info: add, warn: add },
  });
  lines.length = 0;
  const token = world.peer.token();
  for (let times = 2; times < 1_000; times += 1) {
    world.peer.say({ token, code: Response.notFound });
    world.peer.say({ token, observe: times, payload: String(times) });
    await world.settle();
  }
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.length).toBeLessThanOrEqual(10);
  expect(lines.at(-1)).toContain("too often");
  expect(stateOf(world)).toBe("fresh");
  expect(text(await world.latest(CHANNEL))).toBe("999");
  await world.clock.advance(61_000);
  world.peer.say({ token, code: Response.notFound });
  await world.settle();
  expect(lines.at(-1)).toContain("gone");
});
