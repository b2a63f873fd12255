import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { canUnshareNetwork, describeWithPeers } from "./peers.ts";
import { runInNamespace } from "./real/namespace.ts";
import { blocksIn, ciCommands, commandsIn, pages, readPage, root } from "./real/pages.ts";

const sourceFiles = ["packages", "apps"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /^[^/]+\/(src|test)\/.*\.ts$/.test(file))
    .map((file) => join(folder, file)),
);
const namespaceTest = test.skipIf(!process.env["CI"] && !canUnshareNetwork());
const examples = readdirSync(join(root, "examples")).filter((file) => file.endsWith(".ts"));

/** The headings of a page as their links spell them. */
function headingsOf(page: string): readonly string[] {
  return [...readPage(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describeWithPeers("commands of README.md", ["mosquitto-clients", "iproute2", "util-linux", "curl"], () => {
  // A dozen times npm, and again where a subscriber came late.
  namespaceTest("do what the page says", { timeout: 240_000 }, async () => {
    const stdout = await runInNamespace(join(root, "test/real/readme-session.ts"));
    // The session's own line.
    const typed = JSON.parse(stdout) as { command: string; output: string }[];
    expect(typed.map(({ command }) => command)).toEqual(
      commandsIn("README.md").filter((command) => !ciCommands.includes(command)),
    );
    const printed = typed.map(({ output }) => output).join("\n");
    for (const { text } of blocksIn("README.md", "text")) {
      for (const line of text.trim().split("\n")) expect(printed).toContain(line);
    }
  });
});

const NAMESPACE = ["iproute2", "util-linux"];
const debian = (file: string): string[] => {
  const text = readPage(join("examples", file));
  const programs = {
    "libcoap3-bin": /coap-client/,
    "mosquitto-clients": /mosquitto_/,
    prosody: /spawn\("prosody"/,
  };
  return Object.entries(programs).flatMap(([name, called]) => (called.test(text) ? [name] : []));
};
const byNeeds = Map.groupBy(examples, (file) => debian(file).join());
describe.each(
  [...byNeeds].map(([names, files]) => ({
    files,
    needs: [...NAMESPACE, ...names.split(",").filter((name) => name !== "")],
  })),
)("with $needs", ({ files, needs }) => {
  describeWithPeers("examples", needs, () => {
    namespaceTest.each(files)("%s runs and says what its head promises", async (file) => {
      const promised = [...readPage(join("examples", file)).matchAll(/^\/\/ Prints: (.*)$/gm)];
      expect(promised.length).toBeGreaterThan(0);
      const printed = (await runInNamespace(join(root, "examples", file))).trimEnd().split("\n");
      expect(printed).toEqual(expect.arrayContaining(promised.map(([, line]) => line)));
    });
  });
});

describe("pages", () => {
  test.each(examples)("examples/%s has at most 40 lines", (file) => {
    expect(readPage(join("examples", file)).trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  });

  test("commands outside README.md are commands of README.md or of .ci/run", () => {
    const others = pages.filter((page) => page !== "README.md").flatMap(commandsIn);
    const known = [...commandsIn("README.md"), ...ciCommands];
    expect(others.filter((command) => !known.includes(command))).toEqual([]);
  });

  test("every npm script that a page names exists", () => {
    const { scripts } = JSON.parse(readPage("package.json")) as { scripts: Record<string, string> };
    const named = pages.flatMap((page) => [...readPage(page).matchAll(/npm run (?:-s )?([\w:]+)/g)]);
    expect(named.map(([, name = ""]) => name).filter((name) => !(name in scripts))).toEqual([]);
  });

  test("every ts block is part of an example", () => {
    const texts = examples.map((file) => readPage(join("examples", file)));
    const unknown = pages
      .flatMap((page) => blocksIn(page, "ts"))
      .filter(({ text }) => !texts.some((one) => one.includes(text)));
    expect(unknown).toEqual([]);
  });

  test.each(pages.flatMap((page) => blocksIn(page, "yaml")))(
    "$page: the gateway accepts its yaml",
    async ({ text }) => {
      const { parseConfig } = await import("../packages/gateway/src/config/load.ts");
      expect(() => parseConfig({ name: "page", text, folder: root })).not.toThrow();
    },
  );

  test.each(pages)("%s: links lead to files that are there", (page) => {
    const links = [...readPage(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)/g)];
    const targets = links.map(([, to = ""]) => to);
    expect(targets.filter((to) => !existsSync(join(root, dirname(page), to)))).toEqual([]);
  });

  test.each(pages)("%s: links into pages lead to headings", (page) => {
    const links = [...readPage(page).matchAll(/\]\((?!https?:|mailto:)([^)#]*)#([^)]+)\)/g)];
    const lost = links.filter(([, to = "", heading = ""]) => {
      const target = to === "" ? page : join(dirname(page), to);
      return !(target.endsWith(".md") && headingsOf(target).includes(heading));
    });
    expect(lost.map(([link]) => link)).toEqual([]);
  });

  test("pages that the code cites are there", () => {
    const cited = sourceFiles.flatMap((file) => [...readPage(file).matchAll(/\b([\w-]+\.md)\b/g)]);
    const known = new Set(pages.map((page) => basename(page)));
    expect([...new Set(cited.map(([, page = ""]) => page))].filter((page) => !known.has(page))).toEqual([]);
  });

  test.each(pages)("%s: paths it names are there", (page) => {
    const named = [...readPage(page).matchAll(/`((?:packages|apps|docs|test|scripts|examples)\/[\w./-]*)`/g)];
    expect(named.map(([, path = ""]) => path).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("docs/errors.md explains every error code", () => {
    const source = readPage("packages/nomq-core/src/errors.ts");
    const codes = [...source.matchAll(/^ {2}\| "([\w-]+)"/gm)].map(([, code = ""]) => code);
    expect(codes.length).toBeGreaterThan(5);
    const page = readPage("docs/errors.md");
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});
