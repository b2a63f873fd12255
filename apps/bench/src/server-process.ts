import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A process that listens on UDP. */
export interface ServerProcess extends AsyncDisposable {
  readonly port: number;
}

/** Starts a file of this folder that prints its port; disposing ends it. */
export async function startServer(file: URL, ...args: readonly string[]): Promise<ServerProcess> {
  const child = spawn(process.execPath, ["--conditions=@nomq/source", file.pathname, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  // The one line it prints.
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { port: Number(line), [Symbol.asyncDispose]: () => endProcess(child) };
}

/** Starts the bare echo. */
export function startEcho(): Promise<ServerProcess> {
  return startServer(new URL("echo-server.ts", import.meta.url));
}

/** Ends a process and waits for it. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}
