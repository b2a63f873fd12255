import { expect, test } from "vitest";
import { silentLog } from "../../src/log.ts";
import { createJournal } from "../../src/node/journal.ts";
import { createReplayWindows } from "../../src/session/replay-windows.ts";
import { createFakeClock } from "../../src/testing/index.ts";

test("very many sessions of one second are written in parts, and none is left out", async () => {
  const clock = createFakeClock(1_800_000_000_000);
  const windows = createReplayWindows({ sessions: 10_000, packets: 100 });
  const commits: number[] = [];
  const heads = new Set<string>();
  const remember = async (changes: readonly { readonly key: Uint8Array }[]): Promise<void> => {
    commits.push(changes.length);
    for (const { key } of changes) {
      const name = Buffer.from(key).toString();
      if (name.startsWith("h/")) heads.add(name);
    }
  };
  const journal = createJournal({
    clock,
    log: silentLog,
    sweep: () => windows.sweep(1_800_000_000),
    remember: () => remember,
  });
  for (let sessionId = 0; sessionId < 1300; sessionId += 1) {
    const seen = { keyId: "site", sessionId, timestamp: 1_800_000_000, mark: sessionId };
    const judgement = windows.judge({ ...seen, policy: () => "learn" }, 1_800_000_000);
    if (judgement.is === "fresh") journal.add(judgement.noted);
  }
  await clock.advance(1000);
  await journal.end([]);
  expect(heads.size).toBe(1300);
  expect(Math.max(...commits)).toBeLessThanOrEqual(1024);
  expect(clock.pending()).toBe(0);
});
