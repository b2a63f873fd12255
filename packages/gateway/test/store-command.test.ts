import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { checkStore } from "../src/store/index.ts";
import { type Ended, launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

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

/** A folder that a gateway has used: a retained value is in its data. */
const base = testFolder();
/** What `nomq store export --salvage` said while that gateway ran. */
let busy: Ended;

beforeAll(async () => {
  await using gateway = await launchGateway({ folder: base });
  const value = { channel: "plant/level", payload: "7", retain: true, qos: 1 } as const;
  await createControlClient(gateway.controlSocket).publish(value);
  busy = await nomq(["store", "export", join(base.path, "data"), "--salvage"]).ended;
  gateway.signal("SIGTERM");
  await gateway.ended;
});
afterAll(() => base[Symbol.dispose]());

/** A copy of the folder's data, for a test of its own. */
function used(folder: TestFolder): string {
  const data = join(folder.path, "data");
  cpSync(join(base.path, "data"), data, { recursive: true });
  return data;
}

/** A gateway over the data has the value. */
async function expectValue(folder: TestFolder): Promise<void> {
  await using gateway = await launchGateway({ folder });
  const answer = await createControlClient(gateway.controlSocket).get("/api/v1/channels/plant%2Flevel");
  expect(answer.body).toMatchObject({ payload: "7" });
}

describe("nomq store", () => {
  test("what a refused start advises rescues what can be read", async () => {
    using folder = testFolder();
    const data = used(folder);
    truncateSync(join(data, "store/level/CURRENT"), 0);
    const config = folder.file("gateway.yaml", "data: ./data\n");
    const refused = await nomq(["gateway", "--config", config]).ended;
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
    await expectValue(folder);
    // The damaged one is as it was.
    expect(readFileSync(join(folder.path, "damaged/level/CURRENT"), "utf8")).toBe("");
  });

  test("the commands of docs/store.md, in their order: check, backup and back, salvage and back", async () => {
    using folder = testFolder();
    const data = used(folder);
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
    await expectValue(folder);
    const half = readFileSync(join(folder.path, "backup.jsonl"), "utf8").slice(0, -20);
    const other = join(folder.path, "other");
    const cut = await nomq(["store", "import", other, "--json"], { input: half }).ended;
    expect(cut.stderr).toMatch(/^import-invalid: line \d+/);
    expect([cut.code, existsSync(join(other, "store"))]).toEqual([1, false]);
  });

  test("an export says what it could not read and ends with 1; a running gateway's store is not salvaged", async () => {
    using folder = testFolder();
    const data = used(folder);
    expect(busy.code).toBe(1);
    expect(busy.stderr).toMatch(/^data-in-use: a gateway already runs on /);
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
