import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./free-ports.ts";
import { type ProsodySetup, prosodyConfig } from "./prosody-config.ts";
import { writeSelfSigned } from "./self-signed.ts";
import {
  endServer,
  endWithUs,
  startXmppServer,
  XMPP_USERS,
  type XmppServer,
  type XmppServerPlace,
} from "./xmpp-server.ts";

export type { ProsodySetup } from "./prosody-config.ts";

/** A Prosody of the test's own on 127.0.0.1. */
export type Prosody = XmppServer;

/** Starts one and resolves when all its ports are open: about 50 ms. */
export async function startProsody(setup: ProsodySetup = {}): Promise<Prosody> {
  for (;;) {
    const place = await makePlace();
    try {
      return await startAt(place, setup);
    } catch (error) {
      rmSync(place.folder, { recursive: true, force: true });
      if (!(error instanceof PortTaken)) throw error;
    }
  }
}

/** Somebody else opened a port between our look at it and Prosody's. */
class PortTaken extends Error {}

function startAt(place: XmppServerPlace, setup: ProsodySetup): Promise<Prosody> {
  writeFileSync(join(place.folder, "prosody.cfg.lua"), prosodyConfig(place, setup));
  writeCertificate(place.folder, setup.certificateFor ?? "localhost");
  for (const [jid, password] of Object.entries(setup.users ?? XMPP_USERS))
    writeAccount(place.folder, jid, password);
  const log = (): string => readFileSync(logOf(place), "utf8");
  writeFileSync(logOf(place), "");
  return startXmppServer(place, {
    launch: () => launch(place, { setup, said: log().length }),
    webSocketPath: "/xmpp-websocket",
    ca: readFileSync(join(place.folder, "certs/localhost.crt"), "utf8"),
    log,
  });
}

const logOf = ({ folder }: XmppServerPlace): string => join(folder, "prosody.log");

/** Starts it; `said`: so much of its log is from before. */
async function launch(
  place: XmppServerPlace,
  { said, setup }: { readonly said: number; readonly setup: ProsodySetup },
): Promise<ChildProcess> {
  const config = join(place.folder, "prosody.cfg.lua");
  const child = spawn("prosody", ["--config", config, "-F"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (output += String(part)));
  endWithUs(child);
  const ports = [place.c2s, place.http, ...(setup.tls ? [place.directTls] : [])];
  const log = (): string => readFileSync(logOf(place), "utf8").slice(said);
  for (const port of ports) {
    // Its own word: at a port that it could not open somebody else may answer.
    const isOpen = new RegExp(`Activated service .*\\]:${port}\\b`);
    while (!isOpen.test(log())) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`prosody ended with ${child.exitCode ?? child.signalCode}: ${output}`);
      if (log().includes(`Failed to open server port ${port} `)) {
        await endServer(child, "SIGKILL");
        throw new PortTaken(`port ${port} is somebody else's`);
      }
      await sleep(5);
    }
  }
  return child;
}

async function makePlace(): Promise<XmppServerPlace> {
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
