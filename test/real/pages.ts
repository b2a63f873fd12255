import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository's folder, with a slash at its end. */
export const root: string = new URL("../..", import.meta.url).pathname;

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

/** Every Markdown page of the repository, by its path from the root. */
export const pages: readonly string[] = globSync(["*.md", "docs/**/*.md", "{packages,apps}/*/*.md"], {
  cwd: root,
}).toSorted();

export const readPage = (page: string): string => readFileSync(join(root, page), "utf8");

export function blocksIn(page: string, wanted: string): readonly Block[] {
  return [...readPage(page).matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .map(([, language = "", text = ""]) => ({ page, language, text }))
    .filter(({ language }) => language === wanted);
}

/** The command lines of a page's `sh` blocks. */
export function commandsIn(page: string): readonly string[] {
  return blocksIn(page, "sh").flatMap(({ text }) =>
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#")),
  );
}

/** The commands that `.ci/run` runs on a fresh clone. */
export const ciCommands: readonly string[] = [...readPage(".ci/run").matchAll(/^\s*step "([^"]+)"/gm)].map(
  ([, name = ""]) => name,
);
