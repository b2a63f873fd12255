import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./free-ports.ts";
import { type ProsodySetup, prosodyConfig } from "./prosody-config.ts";
import { writeSelfSigned } from "./self-signed.ts";
import {
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
  const place = await makePlace();
  writeFileSync(join(place.folder, "prosody.cfg.lua"), prosodyConfig(place, setup));
  writeCertificate(place.folder, setup.certificateFor ?? "localhost");
  for (const [jid, password] of Object.entries(setup.users ?? XMPP_USERS))
    writeAccount(place.folder, jid, password);
  return startXmppServer(place, {
    launch: () => launch(place, setup),
    webSocketPath: "/xmpp-websocket",
    ca: readFileSync(join(place.folder, "certs/localhost.crt"), "utf8"),
    log: () => readFileSync(join(place.folder, "prosody.log"), "utf8"),
  });
}

async function launch(place: XmppServerPlace, setup: ProsodySetup): Promise<ChildProcess> {
  const config = join(place.folder, "prosody.cfg.lua");
  const child = spawn("prosody", ["--config", config, "-F"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (said += String(part)));
  endWithUs(child);
  const ports = [place.c2s, place.http, ...(setup.tls ? [place.directTls] : [])];
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`prosody ended with ${child.exitCode}: ${said}`);
      await sleep(5);
    }
  }
  return child;
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
