import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nomq, testFolder } from "../launch.ts";

const PAGE = readFileSync(new URL("../../../../docs/access.md", import.meta.url), "utf8");
const BASE =
  "data: ./data\nnomq: { listen: [] }\nmqtt: { listen: [] }\ncoap: { listen: [] }\nhttp: { listen: [] }\nlog: { format: json }\n";

const blocks = (language: string): string[] =>
  [...PAGE.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language)
    .map(([, , text = ""]) => text);

/** Each command of the page with what it prints; `…` stands for anything. */
const commands = blocks("console").flatMap((text) =>
  text
    .split(/^\$ /m)
    .slice(1)
    .map((each) => {
      const [command = "", ...lines] = each.trimEnd().split("\n");
      return { words: command.split(" "), lines };
    }),
);

const pattern = (line: string): RegExp =>
  new RegExp(
    `^${line
      .split("…")
      .map((each) => each.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".+")}$`,
  );

test("docs/access.md: its commands print what it says, with its rules", async () => {
  using folder = testFolder();
  const [rules = ""] = blocks("yaml");
  folder.file("gateway.yaml", `${BASE}access: { rules: [] }\n`);
  await using gateway = nomq(["gateway"], { cwd: folder.path });
  await gateway.said('"event":"ready"');
  folder.file("gateway.yaml", `${BASE}${rules}`);
  for (const { words, lines } of commands) {
    const [program, ...args] = words;
    expect(program).toBe("nomq");
    const { code, stdout } = await nomq(args, { cwd: folder.path, input: "correct horse\n" }).ended;
    expect({ words, code }).toEqual({ words, code: 0 });
    const printed = stdout.trimEnd().split("\n");
    expect(printed).toHaveLength(lines.length);
    for (const [at, line] of lines.entries()) expect(printed[at]).toMatch(pattern(line));
    // Its reader puts the line there too.
    if (args[0] === "passwd") folder.file("gateway.yaml", `${BASE}${rules}  users:\n    ${printed[0]}\n`);
  }
  expect(commands.length).toBeGreaterThan(4);
  expect(readFileSync(join(folder.path, "grafana.token"), "utf8")).toMatch(/^[\w-]{32}\n$/);
});
