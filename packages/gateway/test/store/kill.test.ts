import { systemClock } from "@nomq/core";
import { createPrng } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { checkStore, createDurableStore } from "../../src/store/index.ts";
import { startChild } from "./children.ts";
import { testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const KILLS = isLong ? 50 : 5;
const NAMES = ["one", "two", "three"];

/** What the process was told: stored messages, and of each those who have it. */
function acknowledged(lines: readonly string[]): Map<number, Set<string>> {
  const told = new Map<number, Set<string>>();
  for (const line of lines) {
    const [number = "", name = ""] = line.slice(1).split(" ");
    if (line.startsWith("+")) told.set(Number(number), new Set());
    if (line.startsWith("-")) told.get(Number(number))?.add(name);
  }
  return told;
}

async function compare(folder: string, told: ReadonlyMap<number, ReadonlySet<string>>): Promise<void> {
  const store = createDurableStore({ folder, clock: systemClock, space: { low: 0, high: 0, reserve: 0 } });
  const { attachments } = await store.open();
  for (const name of NAMES) {
    const rows = new Set<number>();
    for (let after = 0; ; ) {
      const page = await store.waiting(name, after, 1_000);
      for (const { message } of page) rows.add(message.seq);
      after = page.at(-1)?.message.seq ?? 0;
      if (page.length < 1_000) break;
    }
    const lost: number[] = [];
    const revived: number[] = [];
    for (const [seq, has] of told) {
      if (has.has(name) && rows.has(seq)) revived.push(seq);
      // Its outcome may have landed without the process living to say so.
      const receipt =
        rows.has(seq) || has.has(name) ? undefined : await store.receipt(seq.toString(16).padStart(32, "0"));
      const isDelivered =
        receipt?.outcomes.some((one) => one.attachment === name && one.is === "delivered") === true;
      if (!rows.has(seq) && !has.has(name) && !isDelivered) lost.push(seq);
    }
    expect({ name, lost, revived }).toEqual({ name, lost: [], revived: [] });
    const row = attachments.find((one) => one.name === name)?.row;
    expect(row?.pending).toBe(rows.size);
    expect(row?.accepted).toBe((row?.delivered ?? 0) + rows.size);
  }
  await store.tidy();
  await store[Symbol.asyncDispose]();
  const report = await checkStore(folder);
  expect(report.faults).toEqual([]);
  expect(report.leftover).toBe(0);
}

describe("killed while it commits", () => {
  test(`${KILLS} times on the same folder, the store has all that was acknowledged and counts exactly`, {
    timeout: 900_000,
  }, async () => {
    const prng = createPrng(11);
    await using folder = await testFolder();
    const told = new Map<number, Set<string>>();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = startChild("./committer.ts", [folder.path, `${kill}`]);
      await child.until(prng.between(2, 3_000));
      await child.kill();
      expect(child.lines.length).toBeGreaterThan(1);
      for (const [seq, names] of acknowledged(child.lines)) told.set(seq, names);
      await compare(folder.path, told);
    }
  });
});
