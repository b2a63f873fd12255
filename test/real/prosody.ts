import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./free-ports.ts";
import { type ProsodyPlace, type ProsodySetup, prosodyConfig } from "./prosody-config.ts";
import { writeSelfSigned } from "./self-signed.ts";

export type { ProsodySetup } from "./prosody-config.ts";

/** Everybody whom a server knows unless it is set up otherwise: password by bare JID. */
const PROSODY_USERS: Readonly<Record<string, string>> = {
  "gw@localhost": "gwpw",
  "alice@localhost": "alicepw",
  "bob@localhost": "bobpw",
};

/** A Prosody of the test's own on 127.0.0.1. Disposing kills it and removes its folder. */
export interface Prosody extends AsyncDisposable {
  readonly host: "127.0.0.1";
  /** Client connections, with STARTTLS where TLS is on. */
  readonly port: number;
  /** `xmpp://127.0.0.1:PORT`. */
  readonly service: string;
  /** `xmpps://127.0.0.1:PORT`; only with TLS. */
  readonly tlsService: string;
  /** `ws://127.0.0.1:PORT/xmpp-websocket`. */
  readonly webSocket: string;
  readonly domain: "localhost";
  readonly pubsub: "pubsub.localhost";
  /** The certificate that signs itself, for `localhost` and `*.localhost`, PEM. */
  readonly ca: string;
  /** What it wrote into its log. */
  log(): string;
  /** Ends it and resolves when it has ended: SIGTERM says farewell, SIGKILL does not. SIGSTOP and SIGCONT only stop it. */
  end(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again after an end: same ports, users, nodes and items. */
  start(): Promise<void>;
}

/** Starts one and resolves when all its ports are open: about 50 ms. */
export async function startProsody(setup: ProsodySetup = {}): Promise<Prosody> {
  const place = await makePlace();
  writeFileSync(join(place.folder, "prosody.cfg.lua"), prosodyConfig(place, setup));
  writeCertificate(place.folder, setup.certificateFor ?? "localhost");
  for (const [jid, password] of Object.entries(setup.users ?? PROSODY_USERS))
    writeAccount(place.folder, jid, password);
  let child = await launch(place, setup);
  return {
    host: "127.0.0.1",
    port: place.c2s,
    service: `xmpp://127.0.0.1:${place.c2s}`,
    tlsService: `xmpps://127.0.0.1:${place.directTls}`,
    webSocket: `ws://127.0.0.1:${place.http}/xmpp-websocket`,
    domain: "localhost",
    pubsub: "pubsub.localhost",
    ca: readFileSync(join(place.folder, "certs/localhost.crt"), "utf8"),
    log: () => readFileSync(join(place.folder, "prosody.log"), "utf8"),
    end: (signal = "SIGTERM") => end(child, signal),
    signal: (name) => void child.kill(name),
    async start() {
      if (child.exitCode === null && child.signalCode === null) return;
      child = await launch(place, setup);
    },
    async [Symbol.asyncDispose]() {
      await end(child, "SIGKILL");
      rmSync(place.folder, { recursive: true, force: true });
    },
  };
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function launch(place: ProsodyPlace, setup: ProsodySetup): Promise<ChildProcess> {
  const config = join(place.folder, "prosody.cfg.lua");
  const child = spawn("prosody", ["--config", config, "-F"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += String(part)));
  running.add(child);
  child.once("close", () => running.delete(child));
  const ports = [place.c2s, place.http, ...(setup.tls ? [place.directTls] : [])];
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`prosody ended with ${child.exitCode}: ${said}`);
      await sleep(5);
    }
  }
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  // One that was stopped takes no other signal than SIGKILL.
  if (signal !== "SIGKILL") child.kill("SIGCONT");
  await ended;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function makePlace(): Promise<ProsodyPlace> {
  const folder = mkdtempSync(join(tmpdir(), "nomq-prosody-"));
  const [c2s = 0, directTls = 0, http = 0] = await freePorts(3);
  return { folder, c2s, directTls, http };
}

/** Prosody's own form of a name as a file: every byte that is no letter or digit as `%xx`. */
const fileName = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9]/.test(letter) ? letter : `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");

function writeAccount(folder: string, jid: string, password: string): void {
  const [user = "", host = ""] = jid.split("@");
  const accounts = join(folder, "data", fileName(host), "accounts");
  mkdirSync(accounts, { recursive: true });
  const quoted = JSON.stringify(password);
  writeFileSync(join(accounts, `${fileName(user)}.dat`), `return { ["password"] = ${quoted}; };\n`);
}

function writeCertificate(folder: string, name: string): void {
  const certs = join(folder, "certs");
  mkdirSync(certs);
  writeSelfSigned(name, { key: join(certs, "localhost.key"), certificate: join(certs, "localhost.crt") });
}
