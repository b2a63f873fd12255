import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EjabberdSetup, ejabberdConfig } from "./ejabberd-config.ts";
import { freePorts } from "./free-ports.ts";
import { writeSelfSigned } from "./self-signed.ts";
import {
  endWithUs,
  startXmppServer,
  XMPP_USERS,
  type XmppServer,
  type XmppServerPlace,
} from "./xmpp-server.ts";

/**
 * Starts an ejabberd of the test's own on 127.0.0.1, and resolves when it has its users: about
 * a second. It is run as an Erlang program without `ejabberdctl`, so that no epmd and no other user is needed.
 */
export async function startEjabberd(setup: EjabberdSetup = {}): Promise<XmppServer> {
  const [c2s = 0, directTls = 0, http = 0] = await freePorts(3);
  const place = { folder: mkdtempSync(join(tmpdir(), "nomq-ejabberd-")), c2s, directTls, http };
  writeFileSync(join(place.folder, "ejabberd.yml"), ejabberdConfig(place, setup));
  writeCertificate(place.folder, setup.certificateFor ?? "localhost");
  return startXmppServer(place, {
    launch: () => launch(place, setup),
    webSocketPath: "/ws",
    ca: readFileSync(join(place.folder, "localhost.crt"), "utf8"),
    log: () => readFileSync(join(place.folder, "ejabberd.log"), "utf8"),
  });
}

/** Says that everything is there: what ejabberd logs says so before its users are. */
const READY = "nomq-ejabberd-ready";

/** It ends with its standard input: whoever started it and was killed leaves nothing behind. */
async function launch(
  { folder }: XmppServerPlace,
  { users = XMPP_USERS }: EjabberdSetup,
): Promise<ChildProcess> {
  const spool = join(folder, "spool");
  mkdirSync(spool, { recursive: true });
  const registered = Object.entries(users).map(([jid, password]) => {
    const [user = "", host = ""] = jid.split("@");
    return `ejabberd_auth:try_register(${binary(user)}, ${binary(host)}, ${binary(password)})`;
  });
  const boot = `spawn(fun() -> io:get_line(""), halt(0, [{flush, false}]) end),
    case application:ensure_all_started(ejabberd) of
    {ok, _} -> ${[...registered, `io:format("${READY}~n")`].join(", ")};
    Other -> io:format("~p~n", [Other]), halt(1) end.`;
  const flags = ["-noshell", "+S", "2:2", "+sbwt", "none", "-mnesia", "dir", `"${spool}"`];
  const child = spawn("erl", [...flags, "-ejabberd", "log_rotate_count", "0", "-eval", boot], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: folder,
    env: {
      ...process.env,
      HOME: folder,
      ERL_LIBS: LIBRARIES,
      ERL_CRASH_DUMP_SECONDS: "0",
      EJABBERD_CONFIG_PATH: join(folder, "ejabberd.yml"),
      EJABBERD_LOG_PATH: join(folder, "ejabberd.log"),
    },
  });
  endWithUs(child);
  await saysReady(child);
  return child;
}

async function saysReady(child: ChildProcess): Promise<void> {
  let said = "";
  const ready = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (part) => {
      said = (said + String(part)).slice(-20_000);
      if (said.includes(READY)) ready.resolve();
    });
  child.once("close", (code) => {
    ready.reject(new Error(`ejabberd ended with ${code}: ${said}`));
  });
  await ready.promise;
}

/** Where Debian keeps Erlang programs that are not of Erlang itself. */
const LIBRARIES = ["x86_64", "aarch64"].map((kind) => `/usr/lib/${kind}-linux-gnu`).join(":");

const binary = (text: string): string => `<<${[...Buffer.from(text)].join(",")}>>`;

function writeCertificate(folder: string, name: string): void {
  const [key, certificate] = [join(folder, "localhost.key"), join(folder, "localhost.crt")];
  writeSelfSigned(name, { key, certificate });
  writeFileSync(
    join(folder, "localhost.pem"),
    `${readFileSync(certificate, "utf8")}${readFileSync(key, "utf8")}`,
  );
}
