import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { LogConfig } from "../src/config/config.ts";
import { openLog } from "../src/log.ts";
import { testFolder } from "./launch.ts";

async function logged(config: Omit<LogConfig, "file">): Promise<string[]> {
  using folder = testFolder();
  const file = join(folder.path, "log");
  {
    await using log = openLog({ ...config, file });
    log.debug("found", { count: 3 });
    log.info("heard", { from: "127.0.0.1:9", reason: undefined });
    log.warn("a name\n2026 error forged", { name: "\u001b[2J\u2028x y", ok: true });
    log.error("failed");
  }
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

test("pretty: one line each, and what a hostile name holds forges none and drives no terminal", async () => {
  const lines = await logged({ level: "info", format: "pretty" });
  expect(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, ""))).toEqual([
    "info  heard from=127.0.0.1:9",
    'warn  a name\\u000a2026 error forged name="\\u001b[2J\\u2028x y" ok=true',
    "error failed",
  ]);
});

test("json: one object each, from the level on", async () => {
  const lines = await logged({ level: "warn", format: "json" });
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      time: expect.stringMatching(/Z$/),
      level: "warn",
      text: "a name\n2026 error forged",
      name: "\u001b[2J\u2028x y",
      ok: true,
    },
    { time: expect.any(String), level: "error", text: "failed" },
  ]);
});

test("debug shows everything", async () => {
  expect(await logged({ level: "debug", format: "json" })).toHaveLength(4);
});
