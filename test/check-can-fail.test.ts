import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "./real/pages.ts";

/** One violation in a copy of the repository, and the part of `npm run check` that must refuse it. */
interface Violation {
  readonly of: string;
  readonly files: Readonly<Record<string, string | ((before: string) => string)>>;
  readonly command: string;
  readonly says: RegExp;
}

const inCore = (name: string): string => `packages/nomq-core/src/${name}.ts`;
const PLANTED = inCore("planted");
/** So that nothing but the violation itself is wrong: the index exports what was planted. */
const exported = { [inCore("index")]: (before: string) => `${before}export * from "./planted.ts";\n` };
const manifest = (change: (json: { dependencies: object; exports: object }) => void) => (before: string) => {
  const json = JSON.parse(before) as { dependencies: object; exports: object };
  change(json);
  return `${JSON.stringify(json, undefined, 2)}\n`;
};

const violations: readonly Violation[] = [
  {
    of: "format",
    files: { [PLANTED]: "export const  planted  =  1;\n" },
    command: "npm run lint",
    says: /planted\.ts format/,
  },
  {
    of: "lint",
    files: { [PLANTED]: "export const planted: any = 1;\n" },
    command: "npm run lint",
    says: /noExplicitAny/,
  },
  {
    of: "promise rules that need types",
    files: { [PLANTED]: "export function planted(): void {\n  Promise.resolve();\n}\n" },
    command: "npm run lint",
    says: /no-floating-promises/,
  },
  {
    of: "dependency direction, in an import",
    files: { [PLANTED]: 'export { parse as planted } from "yaml";\n' },
    command: "npm run lint",
    says: /noUndeclaredDependencies/,
  },
  {
    of: "dependency direction, in a package.json",
    files: {
      "packages/mqtt-bridge/package.json": manifest((json) => {
        json.dependencies = { ...json.dependencies, "@nomq/gateway": "^0.1.0" };
      }),
    },
    command: "npm run graph",
    says: /declares only packages below it[\s\S]*packages form no cycle/,
  },
  {
    of: "import cycles",
    files: {
      [PLANTED]:
        'import { other } from "./planted-other.ts";\n\nexport const planted = (): unknown => other;\n',
      [inCore("planted-other")]:
        'import { planted } from "./planted.ts";\n\nexport const other = (): unknown => planted;\n',
    },
    command: "npm run lint",
    says: /noImportCycles/,
  },
  {
    of: "unused code",
    files: { [PLANTED]: "export const planted = 1;\n" },
    command: "npm run unused",
    says: /planted\.ts/,
  },
  {
    of: "types",
    files: { [PLANTED]: 'export const planted: number = "one";\n', ...exported },
    command: "npm run typecheck",
    says: /TS2322/,
  },
  {
    of: "build",
    files: { [PLANTED]: 'export * from "./not-there.ts";\n', ...exported },
    command: "npm run build",
    says: /not-there/,
  },
  {
    of: "package shape",
    files: {
      "packages/nomq-core/package.json": manifest((json) => {
        json.exports = { ...json.exports, "./planted": "./dist/planted.js" };
      }),
    },
    command: "npm run check:package",
    says: /planted/,
  },
  {
    of: "file size",
    files: { [PLANTED]: "// a line\n".repeat(301) },
    command: "npm run graph",
    says: /no file of code is longer/,
  },
  {
    of: "function size",
    files: { [PLANTED]: `export function planted(): void {\n${"  // a line\n".repeat(41)}}\n` },
    command: "npm run graph",
    says: /no function has more than/,
  },
];

function run(command: string, cwd: string): Promise<{ code: unknown; output: string }> {
  // Without colours, which some of the tools write even into a pipe.
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", NX_DAEMON: "false", NOMQ_RESULTS: "" };
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { cwd, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, output: stdout + stderr });
    });
  });
}

describe.runIf(process.env["NOMQ_LONG"])("each part of the check can fail (npm run test:long)", () => {
  let copy = "";
  beforeAll(() => {
    copy = join(mkdtempSync(join(tmpdir(), "nomq-check-")), "copy");
    // Links where the file system allows: what is planted replaces a file and never writes into one.
    execFileSync("sh", [
      "-c",
      'cp -al "$0" "$1" 2>/dev/null || { rm -rf "$1" && cp -a "$0" "$1"; }',
      root,
      copy,
    ]);
    // Caches are written in place.
    for (const cache of [".nx", "node_modules/.vite", "node_modules/.cache"]) {
      rmSync(join(copy, cache), { recursive: true, force: true });
    }
  });
  afterAll(() => rmSync(join(copy, ".."), { recursive: true, force: true }));

  test.each(violations)("$of", async ({ files, command, says }) => {
    const before = new Map<string, string | undefined>();
    for (const [name, content] of Object.entries(files)) {
      const path = join(copy, name);
      const text = existsSync(path) ? readFileSync(path, "utf8") : undefined;
      before.set(path, text);
      rmSync(path, { force: true });
      writeFileSync(path, typeof content === "string" ? content : content(text ?? ""));
    }
    try {
      const { code, output } = await run(command, copy);
      expect(code).not.toBe(0);
      expect(output).toMatch(says);
    } finally {
      for (const [path, text] of before) {
        rmSync(path);
        if (text !== undefined) writeFileSync(path, text);
      }
    }
  });
});
