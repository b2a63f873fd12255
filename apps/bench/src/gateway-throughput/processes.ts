import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Key } from "@nomq/core";
import { endProcess } from "../server-process.ts";

/** A process under measurement. */
export interface Measured extends AsyncDisposable {
  readonly nomqPort: number;
  readonly mqttPort: number;
}

/** Starts the gateway from its sources with one key and one channel. */
export async function startGateway(key: Key, channel: string): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "nomq-bench-"));
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const config = {
    version: 1,
    data: join(folder, "data"),
    nomq: {
      listen: ["udp://127.0.0.1:0"],
      keys: [{ id: key.id, encryption: hex(key.encryption), mac: hex(key.mac) }],
      channels: [channel],
    },
    mqtt: { listen: ["mqtt://127.0.0.1:0"] },
    coap: { listen: [] },
    http: { listen: [] },
    log: { format: "json", level: "warn" },
  };
  // Every JSON text is YAML too.
  await writeFile(join(folder, "gateway.yaml"), JSON.stringify(config));
  const main = new URL("main.ts", import.meta.resolve("@nomq/gateway")).pathname;
  const args = ["--conditions=@nomq/source", main, "--config", join(folder, "gateway.yaml")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('"ready"')) continue;
    // The ready line's documented shape.
    const { listen } = JSON.parse(line) as { listen: { nomq: [string]; mqtt: [string] } };
    const port = (url: string): number => Number(url.slice(url.lastIndexOf(":") + 1));
    return {
      nomqPort: port(listen.nomq[0]),
      mqttPort: port(listen.mqtt[0]),
      [Symbol.asyncDispose]: async () => {
        await endProcess(child);
        await rm(folder, { recursive: true, force: true });
      },
    };
  }
  throw new Error("the gateway ended before it was ready");
}
