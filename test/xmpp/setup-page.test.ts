import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Health } from "../../packages/gateway/src/api/health.ts";
import { createControlClient } from "../../packages/gateway/src/control/control-client.ts";
import {
  type LaunchedGateway,
  launchGateway,
  nomq,
  run,
  type TestFolder,
  testFolder,
} from "../../packages/gateway/test/launch.ts";
import { describeWithPeers } from "../peers.ts";
import { askControl } from "../real/control.ts";
import { freePorts } from "../real/free-ports.ts";
import { blocksIn } from "../real/pages.ts";

const PAGE = "docs/xmpp.md";
const block = (language: string): string => blocksIn(PAGE, language)[0]?.text ?? "";
const commands = blocksIn(PAGE, "console")
  .flatMap(({ text }) => text.trimEnd().split("\n"))
  .map((line) => line.replace(/^\$ /, ""))
  // Those of ejabberd are for where one is installed.
  .filter((line) => /^(?:openssl|prosodyctl) /.test(line));
// Debian's own: its modules are not seen by others.
const PYTHON = "/usr/bin/python3";
/** How long a server may take on a busy machine to start, or to take some hundred items. */
const BUSY = { timeout: 100_000 };

/**
 * What Debian's file says before it includes conf.d, as far as it matters to a gateway, in a folder of the test's own. With
 * this network backend Prosody logs whom it holds to a limit.
 */
const packaged = ({ path }: TestFolder, port: number): string => `
run_as_root = true
pidfile = "${path}/prosody.pid"
data_path = "${path}/data-prosody"
network_backend = "select"
log = { { levels = { min = "debug" }, to = "file", filename = "${path}/prosody.log" } }
interfaces = { "127.0.0.1" }
c2s_ports = { ${port} }
c2s_direct_tls_ports = { }
s2s_ports = { }
http_ports = { }
https_ports = { }
plugin_paths = { }
modules_enabled = {
  "disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "limits", "pep", "private", "smacks",
  "vcard4", "vcard_legacy", "csi_simple", "ping", "register", "time", "uptime", "version", "posix"
}
limits = { c2s = { rate = "10kb/s" }, s2sin = { rate = "30kb/s" } }
authentication = "internal_hashed"
certificates = "${path}/certs"
VirtualHost "localhost"
Include "${path}/conf.d/*.cfg.lua"
`;

/** Runs a command line of the page, with what it asks for. */
async function typed(line: string, folder: TestFolder, input = ""): Promise<void> {
  const { code, stderr } = await run("/bin/sh", ["-c", line], { cwd: folder.path, input }).ended;
  expect({ line, code, stderr: code === 0 ? "" : stderr }).toEqual({ line, code: 0, stderr: "" });
}

/** Everything of the page's section on Prosody. */
async function setUp(folder: TestFolder, port: number): Promise<ChildProcess> {
  const config = folder.file("prosody.cfg.lua", packaged(folder, port));
  for (const each of ["certs", "conf.d", "data-prosody"]) mkdirSync(join(folder.path, each));
  for (const line of commands.filter((each) => each.startsWith("openssl"))) await typed(line, folder);
  for (const file of ["example.org.crt", "example.org.key"])
    cpSync(join(folder.path, file), join(folder.path, "certs", file));
  writeFileSync(join(folder.path, "conf.d/nomq.cfg.lua"), block("lua"));
  const passwords: Record<string, string> = {
    "gateway@example.org": "correct horse battery staple",
    "ann@example.org": "ann's password",
  };
  for (const line of commands.filter((each) => each.startsWith("prosodyctl"))) {
    const password = passwords[line.split(" ").at(-1) ?? ""];
    await typed(
      line.replace("prosodyctl", `prosodyctl --config ${config}`),
      folder,
      `${password}\n${password}\n`,
    );
  }
  const child = spawn("prosody", ["--config", config, "-F"], { stdio: "ignore" });
  // A test that runs out of time never disposes of it.
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

const section = (port: number): string =>
  block("yaml")
    .replace(/^version: 1\n/, "")
    .replace(
      "xmpp:\n",
      `xmpp:\n  service: xmpp://127.0.0.1:${port}\n  tls: { required: true, ca: ./ca.crt }\n`,
    );
const RULES = 'access: { rules: [{ who: "jid:ann@example.org", publish: ["home/#"] }] }\n';

describeWithPeers(`${PAGE}, step by step`, ["prosody", "openssl", "python3-slixmpp"], () => {
  test("with its certificates, files and program a gateway and a person share channels, at no packaged limit", {
    timeout: 300_000,
  }, async () => {
    using folder = testFolder();
    const [port = 0] = await freePorts(1);
    await using stack = new AsyncDisposableStack();
    const prosody = await setUp(folder, port);
    stack.defer(async () => {
      const ended = once(prosody, "exit");
      prosody.kill("SIGKILL");
      await ended;
    });
    expect(commands).toHaveLength(5);
    const start = async (): Promise<LaunchedGateway & { health(): Promise<Health> }> => {
      const gateway = await launchGateway({ folder, config: `${section(port)}${RULES}` });
      // The documented shape of /healthz.
      return {
        ...gateway,
        health: async () => (await askControl(gateway.controlSocket, "/healthz")) as Health,
      };
    };
    {
      await using first = await start();
      const client = createControlClient(first.controlSocket);
      await client.publish({ channel: "factory/line1/temperature", payload: "21", qos: 1, retain: true });
      const args = ["pub", "--retain", "home/lamp", '{"on":false}'];
      expect((await nomq(args, { cwd: folder.path }).ended).code).toBe(0);
      await expect.poll(async () => (await first.health()).xmpp?.publishing.taken, BUSY).toBe(2);
      first.signal("SIGTERM");
      await first.ended;
    }
    await using gateway = await start();
    await expect.poll(async () => (await gateway.health()).xmpp?.receiving?.subscribed).toBe(1);
    const program = block("python").replace("ann.connect()", `ann.connect(("127.0.0.1", ${port}))`);
    await using ann = run(PYTHON, [folder.file("ann.py", program)], { cwd: folder.path });
    await ann.said("factory/line1/temperature current 21\n");
    const lamp = (): Promise<unknown> => askControl(gateway.controlSocket, "/api/v1/channels/home%2Flamp");
    await expect.poll(lamp).toMatchObject({ payload: '{"on":true}', contentType: "application/json" });

    // 70 KB, and as much for the nodes, where the packaged limit lets 10 a second through. That the gateway is ready would
    // say less: a busy machine is taken for a server with a limit (docs/xmpp.md).
    const client = createControlClient(gateway.controlSocket);
    const before = (await gateway.health()).xmpp?.publishing.taken ?? 0;
    for (let at = 0; at < 200; at += 1) {
      const payload = `${at}`.padStart(20);
      await client.publish({ channel: `factory/${at}`, payload, qos: 1, retain: true });
    }
    const taken = async (): Promise<number> => (await gateway.health()).xmpp?.publishing.taken ?? 0;
    await expect.poll(taken, BUSY).toBe(before + 200);
    expect(readFileSync(join(folder.path, "prosody.log"), "utf8")).not.toContain("over rate limit");
  });
});
