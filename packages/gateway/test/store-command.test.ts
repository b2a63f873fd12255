import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { checkStore } from "../src/store/index.ts";
import { launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

const PAGE = readFileSync(new URL("../../../docs/store.md", import.meta.url), "utf8");
/** The page's commands, as they stand. */
const SHOWN = [...PAGE.matchAll(/`(nomq store [^`]+)`/g)].map(([, line = ""]) => line);

/** Runs a line of a page or message, as a person pastes it. */
function pasted(line: string, cwd: string): string {
  const program = `"${process.execPath}" --conditions=@nomq/source "${MAIN}"`;
  return execFileSync("sh", ["-ec", `nomq() { ${program} "$@"; }\n${line}`], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

async function ok(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await nomq(args).ended;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** A data folder that a gateway has used: a retained value. */
async function used(
  folder: TestFolder,
  during: (data: string) => Promise<void> = async () => undefined,
): Promise<string> {
  await using gateway = await launchGateway({ folder });
  await ok(["pub", "plant/level", "7", "--retain", "--qos", "1", "--socket", gateway.controlSocket]);
  await during(join(folder.path, "data"));
  gateway.signal("SIGTERM");
  await gateway.ended;
  return join(folder.path, "data");
}

async function reads(folder: TestFolder): Promise<string> {
  await using gateway = await launchGateway({ folder });
  return await ok(["sub", "plant/level", "--count", "1", "--socket", gateway.controlSocket]);
}

describe("nomq store", () => {
  test("what a refused start advises rescues what can be read", async () => {
    using folder = testFolder();
    const data = await used(folder);
    truncateSync(join(data, "store/level/CURRENT"), 0);
    const refused = await nomq(["gateway", "--config", join(folder.path, "gateway.yaml")]).ended;
    expect(refused.code).toBe(1);
    const told = /(nomq store export.*jsonl), then move (\S+) away and (nomq store import .*?);/.exec(
      refused.stderr,
    );
    const [, salvage = "", store = "", take = ""] = told ?? [];
    expect(store).toBe(join(data, "store"));
    pasted(salvage, folder.path);
    renameSync(store, join(folder.path, "damaged"));
    expect(pasted(take, folder.path)).toMatch(/\d+ lines imported\n$/);
    expect((await checkStore(store)).faults).toEqual([]);
    expect(await reads(folder)).toBe("plant/level 7\n");
    // The damaged one is as it was.
    expect(readFileSync(join(folder.path, "damaged/level/CURRENT"), "utf8")).toBe("");
  });

  test("the commands of docs/store.md, in their order: check, backup and back, salvage and back", async () => {
    using folder = testFolder();
    const data = await used(folder);
    let number = 0;
    const [backup = "", back = "", check = "", salvage = "", again = "", ...others] = SHOWN;
    expect(others).toEqual([]);
    expect(pasted(check, folder.path)).toContain("is sound");
    const full = await nomq(["store", "import", data], { input: "" }).ended;
    expect(full).toMatchObject({ code: 1, stdout: "" });
    expect(full.stderr).toMatch(/^data-in-use: .*is not empty/);
    for (const [out, into] of [
      [backup, back],
      [salvage, again],
    ] as const) {
      pasted(out, folder.path);
      number += 1;
      renameSync(join(data, "store"), join(folder.path, `old-${number}`));
      expect(pasted(into, folder.path)).toMatch(/\d+ lines imported\n$/);
    }
    expect(await reads(folder)).toBe("plant/level 7\n");
    const half = readFileSync(join(folder.path, "backup.jsonl"), "utf8").slice(0, -20);
    const other = join(folder.path, "other");
    const cut = await nomq(["store", "import", other, "--json"], { input: half }).ended;
    expect(cut.stderr).toMatch(/^import-invalid: line \d+/);
    expect([cut.code, existsSync(join(other, "store"))]).toEqual([1, false]);
  });

  test("an export says what it could not read and ends with 1; a running gateway's store is not salvaged", async () => {
    using folder = testFolder();
    const data = await used(folder, async (running) => {
      const busy = await nomq(["store", "export", running, "--salvage"]).ended;
      expect(busy.code).toBe(1);
      expect(busy.stderr).toMatch(/^data-in-use: a gateway already runs on /);
    });
    // Opened, LevelDB puts what is in its log into a table, where no checksum of its own is looked at.
    expect((await checkStore(join(data, "store"))).faults).toEqual([]);
    const level = join(data, "store/level");
    for (const name of readdirSync(level).filter((file) => file.endsWith(".ldb"))) {
      const table = readFileSync(join(level, name));
      const value = table.lastIndexOf("\x017");
      if (value > 0) table[value + 1] = 0x38;
      writeFileSync(join(level, name), table);
    }
    const exported = await nomq(["store", "export", data]).ended;
    expect(exported.code).toBe(1);
    expect(exported.stdout).toContain('"kind":"damaged"');
    expect(exported.stderr).toMatch(/^\d+ damaged values could not be read/);
  });
});
