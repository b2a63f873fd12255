import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const numbers = (set: string, from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => `TD_COAP_${set}_${String(from + at).padStart(2, "0")}`);

/** What the CoAP plugtests ask of servers and clients, DTLS left out (RFC 7252, 7641, 7959, 6690). */
const ETSI: readonly string[] = [
  ...numbers("CORE", 1, 23),
  "TD_COAP_CORE_31",
  ...numbers("BLOCK", 1, 6),
  ...numbers("OBS", 1, 2),
  ...numbers("OBS", 4, 14),
  ...numbers("LINK", 1, 8),
];

/** Numbers in the names of tests, those of a table included; what is only skipped or in a comment names nothing. */
function namedIn(file: string): readonly string[] {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const note = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node))
      found.push(...(node.text.match(/TD_COAP_[A-Z]+_\d\d/g) ?? []));
  };
  const visit = (node: ts.Node): void => {
    if (
      ts.isCallExpression(node) &&
      /^(test|it|describe)\b(?!\.(skip|todo)\b)/.test(node.expression.getText(source))
    ) {
      const [name] = node.arguments;
      if (name !== undefined) note(name);
      const table = ts.isCallExpression(node.expression) ? node.expression.arguments[0] : undefined;
      if (table !== undefined && name?.getText(source).includes("$") === true) {
        const within = (each: ts.Node): void => {
          note(each);
          ts.forEachChild(each, within);
        };
        within(table);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test("every number of the ETSI CoAP plugtests stands in the name of a test", () => {
  const files = globSync(["test/**/*.test.ts", "packages/*/test/**/*.test.ts"], { cwd: root });
  const named = new Set(files.flatMap((file) => namedIn(join(root, file))));
  expect(ETSI).toHaveLength(24 + 6 + 13 + 8);
  expect(ETSI.filter((number) => !named.has(number))).toEqual([]);
  expect([...named].filter((number) => !ETSI.includes(number))).toEqual([]);
});
