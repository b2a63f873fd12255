import { platform } from "node:os";
import { expect, test } from "vitest";
import { freePorts } from "./free-ports.ts";

// Drawn at random without a word to others, 600 of 20,000 would hold one twice but once in 8,000 times.
test.skipIf(platform() !== "linux")(
  "a port that was given is given to nobody else, though nothing listens there",
  async () => {
    const ports: number[] = [];
    for (let left = 300; left > 0; left -= 1) ports.push(...(await freePorts(2)));
    expect(new Set(ports).size).toBe(600);
  },
);
