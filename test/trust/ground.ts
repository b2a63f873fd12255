import { cpSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AttachmentState } from "@nomq/core";
import { checkStore } from "@nomq/gateway/store";
import { type LaunchedGateway, launchGateway, type TestFolder } from "../../packages/gateway/test/launch.ts";
import { askControl } from "../real/control.ts";
import { freePorts } from "../real/free-ports.ts";
import { vectorKey } from "../real/vectors.ts";
import { within } from "./within.ts";

/** A gateway that is killed and started again on the same folder and ports. */
export interface Ground extends AsyncDisposable {
  readonly ports: Ports;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** SIGKILL; resolves when it is gone, with that moment, Unix milliseconds. Everything it kept must then be sound. */
  kill(): Promise<number>;
  /** SIGTERM; resolves when it has drained and ended well. */
  stop(): Promise<void>;
  readonly isUp: boolean;
  attachments(): Promise<readonly AttachmentState[]>;
  ask(path: string): Promise<unknown>;
  /** Its log over all lives. */
  log(): string;
  /** Copies log and data to where they stay, and says where. */
  keep(): string;
  /** MiB: resident memory and the data folder, at most. */
  readonly most: { rss: number; disk: number };
  readonly pid: number;
  /** Sends a signal and resolves when standard output tells of it, once more than before. */
  tell(signal: NodeJS.Signals, answer: string): Promise<void>;
}

/** Where the gateway listens over all its lives. */
export interface Ports {
  readonly nomq: number;
  readonly mqtt: number;
  readonly coap: number;
}

/** What a ground is made of. */
export interface GroundOptions {
  readonly folder: TestFolder;
  readonly ports: Ports;
  readonly config: string;
  /** Another program than the gateway itself; default the gateway. */
  readonly main?: string;
  /** Where its data lies on a disk of its own: how it is run there, and how the folder is seen from here. */
  readonly disk?: { readonly under: readonly string[]; readonly path: string };
  /** Called when the gateway ends by itself. */
  readonly died: (why: Error) => void;
}

/** Says of a log that something went wrong in the program itself. */
const CRASH =
  /uncaught|unhandled|"level":"error"(?!,"text":"(?:the|a write to the) (?:store|session log))|TypeError|RangeError|ReferenceError|\n\s+at .*\.ts:\d+/i;

/** Makes a ground; nothing runs before `start`. */
export function openGround(options: GroundOptions): Ground {
  return new OneGround(options);
}

class OneGround implements Ground {
  readonly ports: Ports;
  readonly most = { rss: 0, disk: 0 };
  readonly #options: GroundOptions;
  #running: LaunchedGateway | undefined;
  #isMeant = false;
  #log = "";

  constructor(options: GroundOptions) {
    this.#options = options;
    this.ports = options.ports;
  }

  get isUp(): boolean {
    return this.#running !== undefined;
  }

  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { folder, config, died, main, disk } = this.#options;
    this.#isMeant = false;
    const under = disk === undefined ? {} : { under: disk.under };
    const running = await launchGateway({ folder, config, ...(main !== undefined && { main }), ...under });
    this.#running = running;
    void running.ended.then(({ code, stderr }) => {
      if (!this.#isMeant) died(new Error(`the gateway ended by itself with ${code}\n${stderr.slice(-4000)}`));
    });
  }

  async kill(): Promise<number> {
    await this.#end("SIGKILL");
    const deadAt = Date.now();
    const { faults } = await checkStore(join(this.#data(), "store"));
    if (faults.length > 0) throw new Error(`nomq store check after a kill: ${faults.join("; ")}`);
    return deadAt;
  }

  async stop(): Promise<void> {
    const code = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`the gateway did not end well: ${code}\n${this.#log.slice(-4000)}`);
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const running = this.#running;
    if (running === undefined) return 0;
    this.#isMeant = true;
    this.#measure();
    running.signal(signal);
    const { code, stderr, stdout } = await running.ended;
    this.#running = undefined;
    this.#log += stdout + stderr;
    const crash = CRASH.exec(stderr);
    if (crash !== null) {
      throw new Error(
        `the log tells of a crash: ${stderr.slice(Math.max(0, crash.index - 500), crash.index + 1500)}`,
      );
    }
    return code;
  }

  /** The data folder as it is seen from here. */
  #data(): string {
    const { disk, folder } = this.#options;
    return disk?.path ?? join(folder.path, "data");
  }

  #measure(): void {
    const entries = readdirSync(this.#data(), { recursive: true, withFileTypes: true });
    const bytes = entries
      .filter((entry) => entry.isFile() && entry.name !== "ballast")
      .reduce((sum, { parentPath, name }) => {
        // LevelDB removes files of its own while we look.
        return sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0);
      }, 0);
    this.most.disk = Math.max(this.most.disk, bytes / 2 ** 20);
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
      this.most.rss = Math.max(this.most.rss, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // Not Linux: unknown.
    }
  }

  async ask(path: string): Promise<unknown> {
    if (this.#running === undefined) throw new Error("the gateway does not run");
    return await askControl(join(this.#data(), "control.sock"), path);
  }

  async attachments(): Promise<readonly AttachmentState[]> {
    // The API's own shape (docs/api.md).
    return (await this.ask("/api/v1/attachments")) as readonly AttachmentState[];
  }

  log(): string {
    return this.#log + (this.#running?.stderr() ?? "");
  }

  async tell(signal: NodeJS.Signals, answer: string): Promise<void> {
    const running = this.#running;
    if (running === undefined) throw new Error("the gateway does not run");
    const count = (): number => running.stdout().split(answer).length;
    const before = count();
    running.signal(signal);
    const said = async (): Promise<void> => {
      while (count() === before && this.#running === running)
        await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await within(Promise.race([said(), running.ended]), () => `${answer} after ${signal}`);
    if (count() === before) throw new Error(`the gateway ended before it said ${answer}`);
  }

  keep(): string {
    const to = mkdtempSync(join(tmpdir(), "nomq-trust-"));
    writeFileSync(join(to, "gateway.log"), this.log());
    const filter = (path: string): boolean => !/\.sock$|ballast$/.test(path);
    // Of a gateway that runs, files go while they are copied: what failed must be told all the same.
    try {
      cpSync(this.#data(), join(to, "data"), { recursive: true, filter });
    } catch (error) {
      writeFileSync(join(to, "not-copied.txt"), String(error));
    }
    return to;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isMeant = true;
    await this.#running?.[Symbol.asyncDispose]();
    this.#running = undefined;
  }
}

/** Ports that stay the gateway's own while it is down. */
export async function groundPorts(): Promise<Ports> {
  const [nomq = 0, mqtt = 0, coap = 0] = await freePorts(3);
  return { nomq, mqtt, coap };
}

/** The key of the vectors as `nomq.keys` has it. */
export const siteKey: Readonly<Record<string, string>> = {
  id: "site",
  encryption: vectorKey.encryption.toString("hex"),
  mac: vectorKey.mac.toString("hex"),
};
