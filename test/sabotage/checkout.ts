import { execFileSync } from "node:child_process";
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { Sabotage } from "./sabotages.ts";

/** The repository this file lies in. */
export const ROOT: string = new URL("../..", import.meta.url).pathname;

/** A copy of the checkout as it stands, uncommitted changes included. Disposing removes it. */
export interface Copy extends Disposable {
  readonly path: string;
  /** Does the sabotage; what it returns undoes it. */
  apply(sabotage: Sabotage): () => void;
}

/** Copies the checkout into a temporary folder; installed packages are linked, our own are the copy's. */
export function copyCheckout(): Copy {
  const path = mkdtempSync(join(realpathSync(tmpdir()), "nomq-sabotage-"));
  for (const file of filesOf()) {
    mkdirSync(join(path, dirname(file)), { recursive: true });
    cpSync(join(ROOT, file), join(path, file));
  }
  for (const folder of ["", ...workspaces()]) linkModules(join(ROOT, folder), join(path, folder));
  return {
    path,
    apply({ file, find, replace }) {
      const whole = readFileSync(join(path, file), "utf8");
      writeFileSync(join(path, file), sabotaged(whole, { file, find, replace }));
      return () => writeFileSync(join(path, file), whole);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** The text with the sabotage done; throws where it is not found exactly once: then it is stale. */
export function sabotaged(
  text: string,
  { file, find, replace }: Omit<Sabotage, "name" | "breaks" | "suites">,
): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    const times = more.length > 0 ? `${more.length + 1} times` : "not at all";
    throw new Error(
      `stale: ${JSON.stringify(find)} stands ${times} in ${file}; bring test/sabotage/sabotages.ts up to date`,
    );
  }
  return `${before}${replace}${after}`;
}

/** What git knows and what it would be told of, as far as it is there. */
function filesOf(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return listed
    .split("\0")
    .filter(
      (file) => file !== "" && lstatSync(join(ROOT, file), { throwIfNoEntry: false })?.isFile() === true,
    );
}

const workspaces = (): readonly string[] =>
  ["packages", "apps"].flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => join(folder, name)));

/** Links every installed package by itself; links into the repository keep pointing into the copy. */
function linkModules(from: string, to: string): void {
  const modules = join(from, "node_modules");
  if (lstatSync(modules, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const name of readdirSync(modules)) {
    const scoped = name.startsWith("@")
      ? readdirSync(join(modules, name)).map((each) => join(name, each))
      : [name];
    for (const each of scoped) {
      const target = join(to, "node_modules", each);
      mkdirSync(dirname(target), { recursive: true });
      symlinkSync(linkTarget(join(modules, each), { from, to }), target);
    }
  }
}

function linkTarget(path: string, { from, to }: { readonly from: string; readonly to: string }): string {
  const real = realpathSync(path);
  const inside = relative(from, real);
  const isOurs = !inside.startsWith("..") && !inside.startsWith("node_modules");
  return isOurs ? join(to, inside) : real;
}
