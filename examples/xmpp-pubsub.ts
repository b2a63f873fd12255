// Channels as nodes of an XMPP pubsub service, Debian's Prosody: one hub writes a node, another reads it.
// Prints: the service has taken it: delivered
// Prints: factory/temperature 21.5 text/plain
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createHub } from "@nomq/core";
import { createXmppBridge } from "@nomq/xmpp-bridge";

const folder = await mkdtemp("/tmp/prosody-");
await mkdir(`${folder}/localhost/accounts`, { recursive: true });
for (const user of ["gateway", "reader"])
  await writeFile(`${folder}/localhost/accounts/${user}.dat`, `return { password = "secret" }`);
const config = `run_as_root = true; data_path = "${folder}"; pidfile = "${folder}/pid"; s2s_ports = {}
interfaces = { "127.0.0.1" }; modules_enabled = { "disco", "saslauth", "smacks" }; log = {}
authentication = "internal_plain"; c2s_require_encryption = false; VirtualHost "localhost"
Component "pubsub.localhost" "pubsub"; admins = { "gateway@localhost" }`;
await writeFile(`${folder}/prosody.cfg.lua`, config);
const prosody = spawn("prosody", ["--config", `${folder}/prosody.cfg.lua`, "-F"], { stdio: "ignore" });

const account = { service: "xmpp://127.0.0.1:5222", domain: "localhost", password: "secret" };
await using hub = createHub();
hub.add(createXmppBridge({ ...account, username: "gateway", publish: ["factory/#"] }));
await hub.start();
const draft = { channel: "factory/temperature", payload: Buffer.from("21.5"), qos: 1, retain: true } as const;
const kept = { ...draft, contentType: "text/plain" };
const { at } = await hub.port("example").publish(kept, "*", { until: "delivered" });
console.log(`the service has taken it: ${at}`);

await using other = createHub();
other.add(createXmppBridge({ ...account, username: "reader", subscribe: ["factory/#"] }));
await other.start();
for await (const channel of other.port("example").channels("factory/#")) {
  const value = await other.port("example").latest(channel, "*");
  console.log(channel, Buffer.from(value?.payload ?? []).toString(), value?.contentType);
  break;
}
prosody.kill();
await once(prosody, "exit");
await rm(folder, { recursive: true });
