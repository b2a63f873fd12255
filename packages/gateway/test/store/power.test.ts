import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { testFolder } from "./folders.ts";

const SCRIPT = fileURLToPath(new URL("./one-by-one.ts", import.meta.url));
// A container may forbid it.
const mayTrace = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0;

type Seen = "written" | "synced" | "acknowledged";

/** What the process did with the database's log, and when it acknowledged. */
async function traced(durability: "process" | "power"): Promise<Seen[]> {
  await using folder = await testFolder();
  const out = join(folder.path, "trace");
  const calls = "trace=write,fdatasync,fsync";
  const program = [
    process.execPath,
    "--conditions=@nomq/source",
    SCRIPT,
    join(folder.path, "store"),
    durability,
  ];
  execFileSync("strace", ["-f", "-y", "-e", calls, "-o", out, ...program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return readFileSync(out, "utf8").split("\n").flatMap(seenIn);
}

const underWay = new Map<string, Seen>();

/** A call counts when it has ended: another thread's may stand between its begin and its end. */
function seenIn(line: string): Seen[] {
  const [, thread = "", call = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
  const seen = /^write\(\d+<[^>]*\/level\/\d+\.log>/.test(call)
    ? "written"
    : /^f(data)?sync\(\d+<[^>]*\/level\/\d+\.log>/.test(call)
      ? "synced"
      : /^write\(1<[^>]*>, "\+/.test(call)
        ? "acknowledged"
        : undefined;
  if (seen !== undefined && call.includes("<unfinished")) underWay.set(thread, seen);
  else if (seen !== undefined) return [seen];
  const resumed = call.startsWith("<... ") ? underWay.get(thread) : undefined;
  if (resumed === undefined) return [];
  underWay.delete(thread);
  return [resumed];
}

/** What happened before each acknowledgement, since the one before it. */
function before(seen: readonly Seen[]): string[] {
  const parts = seen.join(" ").split("acknowledged");
  return parts.slice(0, -1).map((part) => part.trim());
}

describeWithPeers("durability, as the system's calls show it", ["strace"], () => {
  test.skipIf(!mayTrace)(
    "power: each acknowledged commit was written and then synced; process: written only",
    async () => {
      const power = before(await traced("power"));
      expect(power).toHaveLength(20);
      expect(power.filter((calls) => !/written synced$/.test(calls))).toEqual([]);
      const process = before(await traced("process"));
      expect(process).toHaveLength(20);
      expect(process.slice(1)).toEqual(Array.from({ length: 19 }, () => "written"));
    },
  );
});
