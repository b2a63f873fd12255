// Types the commands of README.md, word for word and in their order, into shells of one scratch clone, in a network
// namespace of its own. What goes on (the gateway, subscribers) runs beside the rest; what ends must end well.
// Prints one line of JSON: what each command printed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocksIn, ciCommands, commandsIn, root } from "./pages.ts";

/** The gateway and subscribers. */
const GATEWAY = /^npm start( -- --.*)?$/;
const SUBSCRIBER = /^(mosquitto_sub|npm start -s -- sub) /;

interface Typed {
  readonly command: string;
  readonly child: ChildProcess;
  output: string;
}

// A clone as npm sees it, but with a data folder of its own.
const clone = mkdtempSync(join(tmpdir(), "nomq-readme-"));
for (const name of readdirSync(root)) {
  if (name !== "data" && name !== ".git") symlinkSync(join(root, name), join(clone, name));
}

function type(command: string): Typed {
  // A group of its own, so that npm and what npm started end together.
  const child = spawn("sh", ["-c", command], {
    cwd: clone,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const typed: Typed = { command, child, output: "" };
  const read = (chunk: Buffer): void => {
    typed.output += chunk.toString();
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  return typed;
}

async function finish(command: string): Promise<Typed> {
  const typed = type(command);
  const [code] = await once(typed.child, "close");
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${typed.output}`);
  return typed;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Resolves when all that it started is gone. Subscribers too: mosquitto_sub 2.0 may lock itself up in its handler of SIGTERM. */
async function end({ child }: Typed): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, "close");
  process.kill(-child.pid, "SIGKILL");
  await closed;
}

const typed: Typed[] = [];
try {
  const commands = commandsIn("README.md").filter((command) => !ciCommands.includes(command));
  for (const command of commands) {
    if (!GATEWAY.test(command) && !SUBSCRIBER.test(command)) {
      typed.push(await finish(command));
      continue;
    }
    const going = type(command);
    typed.push(going);
    if (GATEWAY.test(command)) {
      await until(() => going.output.includes("is ready") || going.child.exitCode !== null);
    }
  }
  // Subscribers may have come late: what was published is published again until all that the page shows is there.
  const again = commands.filter((command) => !GATEWAY.test(command) && !SUBSCRIBER.test(command));
  const shown = blocksIn("README.md", "text").flatMap(({ text }) => text.trim().split("\n"));
  const isThere = (line: string): boolean => typed.some(({ output }) => output.includes(line));
  for (let round = 0; round < 10 && !shown.every(isThere); round += 1) {
    for (const command of again) await finish(command);
  }
} finally {
  await Promise.all(typed.map(end));
  rmSync(clone, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(typed.map(({ command, output }) => ({ command, output })))}\n`);
