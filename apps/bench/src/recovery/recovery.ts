import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type MeasuredProcess, startMeasured } from "../stored-acks/measured.ts";
import type { Load } from "../stored-acks/messages.ts";
import { connectMqtt } from "../stored-acks/mqtt-client.ts";
import { PAYLOAD, sizeOf } from "../stored-acks/network.ts";

const WAITING = 1_000_000;
const READY_S = 2;
const RECOVERED_S = 10;
const LONGEST_STALL_MS = 20;
const DEVICE = "bench";

/** What one start over a store gave. */
interface Start {
  /** Seconds from the start of the process to the first acknowledged QoS 1 publish. */
  readonly ready: number;
  /** Seconds until all that the store holds is known. */
  readonly recovered: number;
  /** Of the event loop, from the first acknowledgement until then. */
  readonly load: Load;
}

/**
 * A gateway started over a store that a killed process left with a million messages waiting for a device that is away,
 * against the same with an empty store in the same run.
 */
export async function benchRecovery(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "nomq-bench-"));
  try {
    const data = join(folder, "full");
    await fill(join(data, "store"));
    const bytes = (await sizeOf(join(data, "store"))) / WAITING;
    const full = await start(data);
    return report({ full, empty: await start(join(folder, "empty")), bytes });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fill(folder: string): Promise<void> {
  const file = new URL("fill.ts", import.meta.url).pathname;
  const args = ["--conditions=@nomq/source", file, folder, `nomq:${DEVICE}`, `${WAITING}`];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const [, signal] = await once(child, "exit");
  if (signal !== "SIGKILL") throw new Error("the store was not filled");
}

async function start(data: string): Promise<Start> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1_000;
  await using gateway = await startMeasured(JSON.stringify(configOf(data)));
  const recovered = gateway.recovered.then(seconds);
  await acknowledged(gateway);
  const ready = seconds();
  // A little longer, so that an empty store's is measured too.
  const load = await gateway.during(Promise.all([recovered, wait(200)]));
  return { ready, recovered: Math.max(ready, await recovered), load };
}

async function acknowledged({ mqttPort }: MeasuredProcess): Promise<void> {
  using client = await connectMqtt(mqttPort, "publisher", PAYLOAD);
  await new Promise<void>((resolve) => client.publish("bench/down/0", resolve));
}

function configOf(data: string) {
  const hex = (): string => randomBytes(32).toString("hex");
  const outbox = { messages: 2 * WAITING, bytes: "1GiB" };
  return {
    version: 1,
    data,
    nomq: {
      listen: ["udp://127.0.0.1:0"],
      keys: [{ id: "site", encryption: hex(), mac: hex() }],
      // Nobody listens on the discard port.
      devices: [{ name: DEVICE, kind: "node", address: "127.0.0.1:9", subscribe: ["bench/down/+"], outbox }],
    },
    mqtt: { listen: ["mqtt://127.0.0.1:0"] },
    coap: { listen: [] },
    http: { listen: [] },
  };
}

function report(results: { readonly full: Start; readonly empty: Start; readonly bytes: number }): boolean {
  const { full, empty, bytes } = results;
  const line = (what: string, of: "ready" | "recovered", target: number): boolean => {
    const isMet = full[of] <= target;
    console.log(
      `${what}: ${full[of].toFixed(2)} s, ${(full[of] / empty[of]).toFixed(2)}× of an empty store, ` +
        `${empty[of].toFixed(2)} s; target ≤ ${target} s: ${isMet ? "ok" : "MISSED"}`,
    );
    return isMet;
  };
  console.log(`1,000,000 messages waiting after a kill, ${bytes.toFixed(0)} B on disk each`);
  const isReady = line("From the start of the process to the first stored acknowledgement", "ready", READY_S);
  const isRecovered = line("to all of the store known", "recovered", RECOVERED_S);
  const text = ({ p50, p99, max }: Load): string => [p50, p99, max].map((ms) => ms.toFixed(1)).join("/");
  const isSmooth = full.load.max <= LONGEST_STALL_MS;
  console.log(
    `Event loop meanwhile p50/p99/max ${text(full.load)} ms (empty ${text(empty.load)}); ` +
      `target max ≤ ${LONGEST_STALL_MS}: ${isSmooth ? "ok" : "MISSED"}; its longest turn worked ` +
      `${full.load.longest.toFixed(1)} ms`,
  );
  return isReady && isRecovered && isSmooth;
}
