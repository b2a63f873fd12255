import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** A folder of the test's own; disposing removes it. */
export interface TestFolder extends Disposable {
  readonly path: string;
  /** Writes a file in it and returns its path. */
  file(name: string, text: string): string;
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "nomq-test-"));
  return {
    path,
    file(name, text) {
      const at = join(path, name);
      writeFileSync(at, text);
      return at;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** What a program wrote and how it ended. */
export interface Ended {
  /** Null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. Disposing kills it and waits for its end. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves once standard output, or error, holds the text; rejects when the program ends without it. */
  said(text: string, stream?: "stdout" | "stderr"): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Stops reading its standard output for good, as `| head -1` does. */
  closeStdout(): void;
  ended: Promise<Ended>;
}

/** How a program is started. */
export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; default none. */
  readonly input?: string | Uint8Array;
  /** A program and its arguments that becomes the one to run: `nsenter -m -t PID`. */
  readonly under?: readonly string[];
  /** Another program than `nomq`, which takes the same arguments. */
  readonly main?: string;
}

/** Runs any program: `mosquitto_sub`, or the `node` of this process. */
export function run(command: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: "pipe",
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  return watch(child, command);
}

/** Runs `nomq ARGS` from its sources, in this process's version of Node. */
export function nomq(args: readonly string[], options: ProgramOptions = {}): Program {
  const { main = MAIN, under = [] } = options;
  const [program = process.execPath, ...before] = [...under, process.execPath];
  return run(program, [...before, "--conditions=@nomq/source", main, ...args], options);
}

/** A test that runs out of time never disposes of its programs: they end with the test's own process. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

function watch(child: ChildProcess, command: string): Program {
  running.add(child);
  const written = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      written[name] += text;
      tell();
    });
  }
  let over = false;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      over = true;
      running.delete(child);
      tell();
      resolve({ code, ...written });
    });
  });
  // Who never asks how it ended shall not see an unhandled rejection.
  ended.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    ended,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    signal: (name) => void child.kill(name),
    closeStdout: () => void child.stdout?.destroy(),
    said: (text, stream = "stdout") =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (written[stream].includes(text)) resolve();
          else if (over) reject(new Error(`${command} ended without saying ${text}: ${written.stderr}`));
          else return;
          listeners.delete(look);
        };
        listeners.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      if (!over) child.kill("SIGKILL");
      await ended.catch(() => undefined);
    },
  };
}

/** A gateway in a process of its own. */
export interface LaunchedGateway extends Program {
  /** The real addresses of its listeners. */
  readonly listen: Readonly<Record<string, readonly string[]>>;
  readonly controlSocket: string;
  /** The first port of a section's listener with that scheme: `port("mqtt", "ws")`. */
  port(section: string, scheme?: string): number;
}

/** Options of {@link launchGateway}. */
export interface LaunchOptions extends ProgramOptions {
  /** Its folder: `gateway.yaml` and `data/` lie there. */
  readonly folder: TestFolder;
  /** More lines of `gateway.yaml`. The sections `log` and, unless given here, `nomq`, `mqtt`, `coap` and `http` are filled in. */
  readonly config?: string;
  readonly args?: readonly string[];
}

/** Listeners on ports that the kernel picks, reached from this machine only. */
const LISTENERS = {
  nomq: "nomq: { listen: ['udp://127.0.0.1:0'] }\n",
  mqtt: "mqtt: { listen: ['mqtt://127.0.0.1:0', 'ws://127.0.0.1:0'] }\n",
  coap: "coap: { listen: ['coap://127.0.0.1:0'] }\n",
  http: "http: { listen: ['http://127.0.0.1:0'] }\n",
};

/** Starts the real gateway and waits until it says that it is ready. */
export async function launchGateway(options: LaunchOptions): Promise<LaunchedGateway> {
  const { folder, config = "", args = [] } = options;
  const has = (section: string): boolean => new RegExp(`^${section}:`, "m").test(config);
  const log = has("log") ? "" : "log: { format: json, level: debug }\n";
  const listeners = Object.entries(LISTENERS).map(([section, line]) => (has(section) ? "" : line));
  const text = `${log}${listeners.join("")}${config}`;
  const file = folder.file("gateway.yaml", text);
  const program = nomq(["gateway", "--config", file, ...args], options);
  try {
    await program.said('{"event":"ready"');
    await program.said("}\n");
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  // The ready line of docs/api.md.
  const ready = JSON.parse(program.stdout()) as { listen: Record<string, string[]>; control: string };
  return {
    ...program,
    listen: ready.listen,
    controlSocket: ready.control,
    port(section, scheme = "") {
      const url = ready.listen[section]?.find((each) => each.startsWith(scheme));
      return Number(/:(\d+)$/.exec(url ?? "")?.[1]);
    },
  };
}
