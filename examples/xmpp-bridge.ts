// Channels as nodes of an XMPP server's pubsub service; while the server is away that is a status, and messages wait.
// Prints: 1 message waits for xmpp:pubsub.example.org
import { createHub } from "@nomq/core";
import { createXmppBridge } from "@nomq/xmpp-bridge";

await using hub = createHub();
const xmpp = createXmppBridge({
  service: "xmpp://127.0.0.1:5222",
  domain: "example.org",
  username: "gateway",
  password: "secret",
  publish: ["factory/#"],
  subscribe: ["home/#"],
});
hub.add(xmpp);
await hub.start();

const draft = { channel: "factory/temperature", payload: Buffer.from("21.5"), qos: 1 } as const;
await hub.port("example").publish(draft, "*");
for (const { name, ledger } of hub.attachments()) console.log(`${ledger.pending} message waits for ${name}`);
