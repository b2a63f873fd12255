import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "@nomq/core";
import { silentLog } from "@nomq/core";
import { createFakeClock, settle } from "@nomq/core/testing";
import { afterEach, describe, expect, test } from "vitest";
import { type LogFile, type LogFolder, logFolder } from "../../src/session-log/log-folder.ts";
import { createSessionLog, type KeptSessionLog } from "../../src/session-log/session-log.ts";

const folders: string[] = [];
const FILE = "session-log.jsonl";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nomq-session-log-"));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const linesIn = (folder: string, name = FILE): string[] =>
  readFileSync(join(folder, name), "utf8").trimEnd().split("\n");
const entriesIn = (folder: string, name = FILE): Record<string, unknown>[] =>
  linesIn(folder, name).map((line): Record<string, unknown> => JSON.parse(line));

function opened(folder: string, size?: number): KeptSessionLog {
  const log = createSessionLog({ folder: logFolder(folder), ...(size === undefined ? {} : { size }) });
  log.open();
  return log;
}

describe("the file", () => {
  test("has one JSON object a line: at, who, what, details", async () => {
    const folder = newFolder();
    const clock = createFakeClock(Date.UTC(2026, 10, 21, 12));
    await using log = createSessionLog({ folder: logFolder(folder), clock });
    log.record({ who: "gateway", what: "gateway.started" });
    log.open();
    log.record({
      who: "user:ann",
      what: "client.connected",
      details: { client: "a\nb", version: 5, as: undefined },
    });
    await log.flush();
    expect(entriesIn(folder)).toEqual([
      { at: "2026-11-21T12:00:00.000Z", who: "gateway", what: "gateway.started" },
      {
        at: "2026-11-21T12:00:00.000Z",
        who: "user:ann",
        what: "client.connected",
        details: { client: "a\nb", version: 5 },
      },
    ]);
  });

  test("is for its owner alone, also where it was put back with more rights", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, FILE), "");
    chmodSync(join(folder, FILE), 0o644);
    await using log = opened(folder);
    log.record({ who: "a", what: "a.b" });
    await log.flush();
    expect(statSync(join(folder, FILE)).mode & 0o777).toBe(0o600);
  });

  test("goes on after a restart; a line that a crash tore stays by itself", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, FILE), '{"at":"x","who":"a","what":"b.c"}\n{"at":"y","wh');
    await using log = opened(folder);
    log.record({ who: "gateway", what: "gateway.started" });
    await log.flush();
    const lines = linesIn(folder);
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe('{"at":"y","wh');
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ what: "gateway.started" });
  });

  test("is rotated by size; five are kept, the newest without a number", async () => {
    const folder = newFolder();
    await using log = opened(folder, 1_000);
    for (let count = 0; count < 100; count += 1) {
      log.record({ who: "a", what: "a.b", details: { count, text: "x".repeat(200) } });
      await log.flush();
    }
    const names = readdirSync(folder).sort();
    expect(names).toEqual([FILE, ...[1, 2, 3, 4].map((age) => `${FILE}.${age}`)]);
    const counts = [...names.slice(1).reverse(), FILE].flatMap((name) =>
      entriesIn(folder, name).map(({ details }) => Reflect.get(Object(details), "count")),
    );
    expect(counts.at(-1)).toBe(99);
    // Nothing between the eldest that is left and the newest is missing.
    expect(counts).toEqual(Array.from({ length: counts.length }, (_, at) => 100 - counts.length + at));
    for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThan(1_300);
  });

  test("names from the network cannot make it long or forge a line", async () => {
    const folder = newFolder();
    await using log = opened(folder);
    log.record({
      who: "x".repeat(70_000),
      what: "client.refused",
      details: { client: `${"y".repeat(70_000)}\n{}` },
    });
    await log.flush();
    expect(linesIn(folder)).toHaveLength(1);
    expect(statSync(join(folder, FILE)).size).toBeLessThan(1_000);
  });

  test("nothing is written where it was never opened", async () => {
    const folder = newFolder();
    {
      await using log = createSessionLog({ folder: logFolder(folder) });
      log.record({ who: "a", what: "a.b" });
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("floods", () => {
  test("equal entries are one, then one that says how many more came", async () => {
    const clock = createFakeClock();
    await using log = createSessionLog({ clock });
    const entry = { who: "anonymous", what: "client.refused", details: { reason: "anonymous" } };
    for (let count = 0; count < 1_000; count += 1) log.record(entry);
    expect(log.recent()).toHaveLength(1);
    await clock.advance(10_000);
    expect(log.recent().map(({ details }) => details)).toEqual([
      { reason: "anonymous" },
      { reason: "anonymous", repeated: 999 },
    ]);
    log.record(entry);
    expect(log.recent()).toHaveLength(3);
  });

  test("entries that differ are counted from the 500th of their kind in 10 s on, and push out no other kind", async () => {
    const clock = createFakeClock();
    await using log = createSessionLog({ clock });
    log.record({ who: "user:ann", what: "login.refused" });
    for (let count = 0; count < 100_000; count += 1) {
      log.record({ who: "anonymous", what: "client.connected", details: { client: `c${count}` } });
    }
    log.record({ who: "user:ann", what: "access.changed" });
    expect(log.recent()).toHaveLength(502);
    await clock.advance(10_000);
    expect(log.recent()[0]).toMatchObject({ what: "login.refused" });
    expect(log.recent().at(-1)).toMatchObject({
      what: "log.suppressed",
      details: { of: "client.connected", entries: 99_500 },
    });
  });

  test("what is counted at the end is written at the end", async () => {
    const folder = newFolder();
    const clock = createFakeClock();
    const log = createSessionLog({ folder: logFolder(folder), clock });
    log.open();
    for (let count = 0; count < 3; count += 1) log.record({ who: "a", what: "a.b" });
    await log[Symbol.asyncDispose]();
    await log[Symbol.asyncDispose]();
    expect(entriesIn(folder).map(({ details }) => details)).toEqual([undefined, { repeated: 2 }]);
    expect(clock.pending()).toBe(0);
  });

  test("the last 1,000 stay in memory", async () => {
    const clock = createFakeClock();
    await using log = createSessionLog({ clock });
    for (let count = 0; count < 3_500; count += 1) {
      log.record({ who: "a", what: `a.b${count % 10}`, details: { count } });
    }
    expect(log.recent()).toHaveLength(1_000);
    expect(log.recent(1)).toMatchObject([{ details: { count: 3_499 } }]);
    expect(log.recent(0)).toEqual([]);
  });
});

/** A folder in memory whose disk does what the test says. */
function faultyFolder(): {
  folder: LogFolder;
  text: () => string;
  room: (bytes: number) => void;
  hang: () => void;
} {
  let text = "";
  let room = Number.POSITIVE_INFINITY;
  let isHanging = false;
  const file: LogFile = {
    size: 0,
    isWhole: true,
    async write(bytes) {
      if (isHanging) await new Promise(() => undefined);
      const taken = Math.min(bytes.length, room);
      if (taken === 0) throw new Error("ENOSPC: no space left on device");
      room -= taken;
      text += Buffer.from(bytes.subarray(0, taken)).toString("latin1");
      return taken;
    },
    close: () => Promise.resolve(),
  };
  return {
    folder: { open: () => Promise.resolve(file), rotate: () => Promise.resolve() },
    text: () => text,
    room: (bytes) => {
      room = bytes;
    },
    hang: () => {
      isHanging = true;
    },
  };
}

describe("a disk that takes nothing", () => {
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (text) => void errors.push(text) };

  afterEach(() => void errors.splice(0));

  test("full: said once, bounded, and written without a gap or a torn line when there is room", async () => {
    const disk = faultyFolder();
    const clock = createFakeClock();
    await using kept = createSessionLog({ folder: disk.folder, clock, log });
    kept.open();
    disk.room(100);
    for (let count = 0; count < 50; count += 1) kept.record({ who: "a", what: "a.b", details: { count } });
    await kept.flush();
    await clock.advance(5_000);
    expect(errors).toHaveLength(1);
    expect(disk.text()).toHaveLength(100);
    disk.room(Number.POSITIVE_INFINITY);
    await clock.advance(1_000);
    const counts = disk
      .text()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).details.count);
    expect(counts).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });

  test("hanging: 1 MiB waits, the rest is counted; the end does not wait for ever", async () => {
    const disk = faultyFolder();
    const clock = createFakeClock();
    const kept = createSessionLog({ folder: disk.folder, clock, log });
    kept.open();
    disk.hang();
    for (let round = 0; round < 100; round += 1) {
      for (let count = 0; count < 400; count += 1) {
        kept.record({ who: "a", what: "a.b", details: { round, count, text: "x".repeat(200) } });
      }
      await clock.advance(10_000);
    }
    const end = kept[Symbol.asyncDispose]();
    await settle();
    await clock.advance(2_000);
    await end;
    expect(disk.text()).toBe("");
    expect(clock.pending()).toBe(0);
  });

  test("what was lost meanwhile is said when it works again", async () => {
    const disk = faultyFolder();
    const clock = createFakeClock();
    await using kept = createSessionLog({ folder: disk.folder, clock, log });
    kept.open();
    disk.room(0);
    for (let round = 0; round < 20; round += 1) {
      for (let count = 0; count < 400; count += 1) {
        kept.record({ who: "a", what: "a.b", details: { round, count, text: "x".repeat(200) } });
      }
      await clock.advance(10_000);
    }
    expect(disk.text()).toBe("");
    disk.room(Number.POSITIVE_INFINITY);
    await clock.advance(2_000);
    const written = disk
      .text()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const said = written.at(-1);
    expect(said).toMatchObject({ who: "gateway", what: "log.lost" });
    expect(written.length - 1 + said.details.entries).toBe(8_000);
    expect(disk.text().length).toBeLessThan(1.1 * 1024 * 1024);
  });
});
