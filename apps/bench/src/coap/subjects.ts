import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endProcess } from "../server-process.ts";

/** A server under measurement, in a process of its own. */
export interface Subject extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

const HOST = "127.0.0.1";
const LIBCOAP = "coap-server-notls";

/** Starts a file of this benchmark that prints its port. */
export async function startFile(name: string, file: URL): Promise<Subject> {
  const child = spawn(process.execPath, ["--conditions=@nomq/source", file.pathname], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  // The one line it prints.
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return subject({ name, port: Number(line), child });
}

/** Starts the gateway from its sources, with nothing on disk and no other listener. */
export async function startGateway(): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "nomq-bench-"));
  const config = {
    version: 1,
    data: "memory",
    nomq: { listen: [] },
    mqtt: { listen: [] },
    http: { listen: [] },
    coap: { listen: [`coap://${HOST}:0`] },
    log: { format: "json", level: "warn" },
  };
  const file = join(folder, "gateway.yaml");
  // Every JSON text is YAML too.
  await writeFile(file, JSON.stringify(config));
  const main = new URL("main.ts", import.meta.resolve("@nomq/gateway")).pathname;
  const args = ["--conditions=@nomq/source", ...flags(), main, "--config", file];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('"ready"')) continue;
    // The ready line's documented shape.
    const { listen } = JSON.parse(line) as { listen: { coap: [string] } };
    const port = Number(/:(\d+)$/.exec(listen.coap[0])?.[1]);
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
    return subject({ name: "the gateway", port, child, after: remove });
  }
  throw new Error("the gateway ended before it was ready");
}

/** Flags of Node for the gateway: `NOMQ_BENCH_FLAGS=--cpu-prof` writes a profile. */
const flags = (): readonly string[] => process.env["NOMQ_BENCH_FLAGS"]?.split(" ").filter(Boolean) ?? [];

/** Starts libcoap's example server, which keeps what is put anywhere; undefined where it is not installed. */
export async function startLibcoap(): Promise<Subject | undefined> {
  if (spawnSync("which", [LIBCOAP]).status !== 0) return undefined;
  const port = await freePort();
  const child = spawn(LIBCOAP, ["-A", HOST, "-p", `${port}`, "-d", "100", "-v", "1"], { stdio: "ignore" });
  await once(child, "spawn");
  return subject({ name: "libcoap", port, child });
}

/** A port that nobody had a moment ago: libcoap's server cannot be asked which one it took. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, HOST);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

interface Started {
  readonly name: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** Done when it has ended. */
  readonly after?: () => Promise<void>;
}

function subject({ name, port, child, after }: Started): Subject {
  return {
    name,
    port,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      await endProcess(child);
      await after?.();
    },
  };
}
