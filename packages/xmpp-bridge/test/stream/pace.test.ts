import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createPace } from "../../src/stream/pace.ts";

test("a server that sends more than we read in a slice waits for the next turn, and once each", async () => {
  const told: string[] = [];
  const socket = { pause: () => told.push("pause"), resume: () => told.push("resume") };
  const pace = createPace();
  pace(4, socket);
  await turn();
  pace(4, socket);
  pace(4, socket);
  expect(told).toEqual([]);
  // What was read already still comes.
  for (let piece = 0; piece < 3; piece += 1) pace(4, socket);
  expect(told).toEqual(["pause"]);
  await turn();
  expect(told).toEqual(["pause", "resume"]);
  pace(11, socket);
  expect(told).toEqual(["pause", "resume", "pause"]);
  await turn();
  expect(told).toHaveLength(4);
});
