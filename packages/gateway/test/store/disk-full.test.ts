import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const FILLS = isLong ? 10 : 1;
// A file system of its own, seen by this test only.
const canMount =
  spawnSync("unshare", ["-m", "-p", "--fork", "sh", "-c", "mount -t tmpfs tmpfs /tmp"]).status === 0;
const hasExt4 = isLong && spawnSync("mkfs.ext4", ["-V"]).status === 0;

interface Fill {
  readonly said: readonly string[];
  readonly found: {
    readonly rows: readonly number[];
    readonly faults: readonly string[];
    readonly pending: number;
  };
}

/** Mounts a small disk, fills it, kills the process, looks what is there; the disk goes with the namespace. */
function fill(folder: string, given: { readonly mode: string; readonly mount: string }): Fill {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const output = execFileSync(
    "unshare",
    [
      "-m",
      // All in it end with it, also when the test ran out of time.
      ...["-p", "--fork", "--kill-child"],
      "sh",
      path("./fill.sh"),
      folder,
      given.mode,
      given.mount,
      process.execPath,
      path("./filler.ts"),
      path("./found.ts"),
    ],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, timeout: 240_000, stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = output.trimEnd().split("\n");
  const last = lines.pop() ?? "";
  // The script's own last line is what `found.ts` wrote.
  return { said: lines, found: JSON.parse(last) as Fill["found"] };
}

describe.skipIf(!canMount)("on a small disk that fills (needs a mount namespace)", () => {
  const cases = (hasExt4 ? ["tmpfs", "ext4"] : ["tmpfs"]).flatMap((mount) =>
    ["watch", "blind"].map((mode) => ({ mount, mode })),
  );

  test.for(cases)(
    "$mount, $mode: nothing acknowledged is lost, and it heals without a restart",
    {
      timeout: 900_000,
    },
    async (given) => {
      for (let left = FILLS; left > 0; left -= 1) {
        await using folder = await testFolder();
        const { said, found } = fill(folder.path, given);
        expect(said).toContain("freed");
        expect(said.at(-1)).toBe("done");
        const told = said.filter((line) => line.startsWith("+")).map((line) => Number(line.slice(1)));
        const full = said.findIndex((line) => line.startsWith("full"));
        const rows = new Set(found.rows);
        expect(told.filter((seq) => !rows.has(seq))).toEqual([]);
        expect(found.faults).toEqual([]);
        expect(found.pending).toBe(rows.size);
        expect(full).toBeGreaterThan(0);
        if (given.mode === "watch") {
          expect(Number(said[full]?.split(" ")[1])).toBeGreaterThan(0);
          expect(said.filter((line) => line === "fact")).toHaveLength(20);
        }
      }
    },
  );

  test("a store opens on a disk that its unfinished tables fill", { timeout: 120_000 }, async () => {
    await using folder = await testFolder();
    const output = execFileSync(
      "unshare",
      [
        ...["-m", "-p", "--fork", "--kill-child", "sh", "-c"],
        'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$1" --conditions=@nomq/source "$2" "$0"',
        folder.path,
        process.execPath,
        fileURLToPath(new URL("./littered.ts", import.meta.url)),
      ],
      { encoding: "utf8", timeout: 110_000, stdio: ["ignore", "pipe", "inherit"] },
    );
    expect(output.trim().split("\n")).toEqual(["ENOSPC", "waiting 200", "left"]);
  });
});
