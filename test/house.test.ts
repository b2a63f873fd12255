import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url).pathname;
const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 40;
const MAX_PARAMETERS = 3;
const EMPTY_NAMES = /(^|\/)(utils?|helpers?|common|manager|types|misc|shared)(\.ts|\/)/;

const code = globSync(
  [
    "*.ts",
    "scripts/*.mjs",
    "{test,examples}/**/*.ts",
    "{packages,apps}/*/*.ts",
    "{packages,apps}/*/{src,test}/**/*.ts",
  ],
  { cwd: root },
).toSorted();
const sources = code.filter((file) => /^(packages|apps)\/[^/]+\/src\//.test(file));

const lineCount = (file: string): number =>
  readFileSync(join(root, file), "utf8").trimEnd().split("\n").length;

interface Shape {
  readonly where: string;
  /** Lines of its own: those of functions inside it are theirs. */
  readonly lines: number;
  readonly parameters: number;
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.Latest, true);
}

function shapesIn(file: string): readonly Shape[] {
  const source = parse(file);
  const shapes: Shape[] = [];
  const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  /** Visits a node and returns how many lines of it belong to functions inside. */
  const visit = (node: ts.Node): number => {
    let inner = 0;
    ts.forEachChild(node, (child) => {
      inner += visit(child);
    });
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return inner;
    const first = lineAt(node.getStart(source));
    const lines = lineAt(node.getEnd()) - first + 1;
    shapes.push({ where: `${file}:${first + 1}`, lines: lines - inner, parameters: node.parameters.length });
    return lines - 1;
  };
  visit(source);
  return shapes;
}

const shapes = sources.flatMap(shapesIn);

describe("size and shape", () => {
  test(`no file of code is longer than ${MAX_FILE_LINES} lines`, () => {
    const long = code.map((file) => ({ file, lines: lineCount(file) }));
    expect(long.filter(({ lines }) => lines > MAX_FILE_LINES)).toEqual([]);
  });

  test(`no function has more than ${MAX_FUNCTION_LINES} lines of its own`, () => {
    expect(shapes.filter(({ lines }) => lines > MAX_FUNCTION_LINES)).toEqual([]);
  });

  test(`no function takes more than ${MAX_PARAMETERS} parameters`, () => {
    expect(shapes.filter(({ parameters }) => parameters > MAX_PARAMETERS)).toEqual([]);
  });

  test("no file or folder has a name that says nothing", () => {
    expect(code.filter((file) => EMPTY_NAMES.test(file))).toEqual([]);
  });
});

describe("what must not be in the repository", () => {
  test("registry addresses in package-lock.json", () => {
    expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toContain('"resolved": "http');
  });

  test("tests that run alone or never", () => {
    const marked = code.filter((file) =>
      /\b(test|it|describe)\.(only|todo)\(/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(marked).toEqual([]);
  });

  test("type checks switched off", () => {
    const pattern = /@ts-(ignore|nocheck|expect-error)|biome-ignore(?! .*: .+)/;
    const off = code.filter((file) => pattern.test(readFileSync(join(root, file), "utf8")));
    expect(off.filter((file) => file !== "test/house.test.ts")).toEqual([]);
  });

  test("an event emitter in a public surface", () => {
    const emitting = sources.filter((file) =>
      /extends EventEmitter/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(emitting).toEqual([]);
  });
});

test("every package has what a reader and npm look for", () => {
  const wanted = ["README.md", "package.json", "tsup.config.ts", "tsconfig.json", "src/index.ts"];
  const files = globSync("packages/*", { cwd: root }).flatMap((folder) =>
    wanted.map((file) => join(folder, file)),
  );
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});
