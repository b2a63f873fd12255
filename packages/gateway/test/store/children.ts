import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A process of its own on a store. */
export interface Child {
  readonly lines: readonly string[];
  /** Resolves when so many lines have come, or the process has ended. */
  until(lines: number): Promise<void>;
  /** SIGKILL; resolves when it is gone and its last line was read. */
  kill(): Promise<void>;
}

/** Runs a script of this folder on our own sources, `under` another program if need be. */
export function startChild(script: string, given: readonly string[], under: readonly string[] = []): Child {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const [program = process.execPath, ...before] = [...under, process.execPath];
  const child = spawn(program, [...before, "--conditions=@nomq/source", path, ...given], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const gone = ended(child, (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  return {
    lines,
    until: async (wanted) => {
      const there = new Promise<void>((resolve) => {
        const look = (): void => {
          if (lines.length >= wanted) resolve();
        };
        waiting.add(look);
        look();
      });
      await Promise.race([there, gone]);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

async function ended(child: ChildProcess, said: (line: string) => void): Promise<void> {
  const { stdout } = child;
  if (stdout === null) throw new Error("the child has no output");
  const exit = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  for await (const line of createInterface({ input: stdout })) said(line);
  await exit;
}
