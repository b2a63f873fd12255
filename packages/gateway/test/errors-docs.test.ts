import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const DOC = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
const isTold = (word: string): boolean => DOC.includes(`\`${word}\``) || DOC.includes(`\`${word}:`);

const source = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** The words of a union type: `| "a" | "b"`. */
function unionWords(text: string, name: string): string[] {
  const [, body = ""] = new RegExp(`type ${name} =([^;]*);`).exec(text) ?? [];
  return [...body.matchAll(/"([^"]+)"/g)].flatMap(([, word]) => word ?? []);
}

/** Words in kebab case on lines that speak of a reason, a refusal or a fault. */
function reasonsIn(folder: string): string[] {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts") && !file.startsWith("testing"))
    .flatMap((file) => source(join(folder, file)).split("\n"))
    .filter(
      (line) =>
        /reason|refus|fault|return "|dropped\(|cut\(|\.add\(/i.test(line) &&
        !/^import|^\s*(\/\/|\*)/.test(line),
    )
    .flatMap((line) =>
      [...line.matchAll(/["`]([a-z]+(?:-[a-z]+)+)(?:["`]|: \$)/g)].flatMap(([, word]) => word ?? []),
    );
}

describe("docs/errors.md tells every", () => {
  test("error code", () => {
    const codes = unionWords(source("packages/nomq-core/src/errors.ts"), "ErrorCode");
    expect(codes.length).toBeGreaterThan(10);
    expect(codes.filter((code) => !DOC.includes(`| \`${code}\` |`))).toEqual([]);
  });

  test("reason a datagram is rejected for", () => {
    const reasons = unionWords(source("packages/nomq-core/src/node/contract.ts"), "Rejection");
    expect(reasons.length).toBeGreaterThan(5);
    expect(reasons.filter((reason) => !DOC.includes(`| \`${reason}\` |`))).toEqual([]);
  });

  test.each([
    "packages/nomq-core/src",
    "packages/mqtt-bridge/src",
    "packages/coap-bridge/src",
    "packages/xmpp-bridge/src",
    "packages/gateway/src/api",
  ])("reason that %s gives", (folder) => {
    const reasons = [...new Set(reasonsIn(folder))];
    expect(reasons).not.toEqual([]);
    // How whole packages, headers and options are called, on such a line by chance, and why a peer is offline.
    const names = [
      "content-type",
      "drop-oldest",
      "drop-newest",
      "first-contact",
      "after-silence",
      "mqtt-packet",
    ];
    // Words of the XMPP bridge among itself, of which nothing is told.
    const inside = ["given-up", "go-on", "no-service", "other-source"];
    const others = new Set([...names, ...inside, "never-heard"]);
    expect(reasons.filter((reason) => !isTold(reason) && !others.has(reason))).toEqual([]);
  });

  test("code that the API answers with", () => {
    const folders = ["packages/gateway/src/api", "packages/gateway/src/http"];
    const files = folders.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => source(join(folder, file))),
    );
    const codes = files.flatMap((text) =>
      [...text.matchAll(/\bcode: "([\w-]+)"/g)].flatMap(([, code]) => code ?? []),
    );
    expect(codes.length).toBeGreaterThan(15);
    expect(codes.filter((code) => !isTold(code))).toEqual([]);
  });
});
