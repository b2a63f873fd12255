import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { run } from "../../packages/gateway/test/launch.ts";
import { connectClient } from "../../packages/xmpp-bridge/test/pubsub-client.ts";
import { describeWithPeers } from "../peers.ts";
import { startProsody } from "../real/prosody.ts";
import { launchXmppGateway } from "../real/xmpp-gateway.ts";

const NOMQ = "{urn:nomq:xmpp:0}";
const reader = fileURLToPath(new URL("reader.py", import.meta.url));
// Debian's own: its modules are not seen by others.
const PYTHON = "/usr/bin/python3";

/** A line of the reader's. */
interface Said {
  readonly event: "subscribed" | "item" | "retract";
  readonly id?: string;
  readonly sender?: string;
  readonly tag?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly text?: string;
  readonly jid?: string;
}

/** The bytes of an item as somebody reads them who has only docs/xmpp.md. */
function bytesOf({ attributes, text = "" }: Said): Buffer {
  return Buffer.from(text, attributes?.[`${NOMQ}enc`] === "base64" ? "base64" : "utf8");
}

const PAYLOADS: readonly { readonly payload: Buffer; readonly contentType?: string }[] = [
  { payload: Buffer.from("21.5 °C, 気温, 🌡 <&>\"' \t\n end ") },
  { payload: Buffer.from('{ "a" : [1, 2.50, "<&>"] }'), contentType: "application/json" },
  { payload: Buffer.from(Array.from({ length: 256 }, (_, at) => at)) },
  { payload: Buffer.from("line\r\nline\r") },
  { payload: Buffer.from("\u{feff}begins with a mark\ufffe") },
  { payload: Buffer.from("]]>") },
];

describeWithPeers("another domain and another library", ["prosody", "openssl", "python3-slixmpp"], () => {
  test("slixmpp, as a user of the server's second domain, reads each payload byte for byte", async () => {
    await using prosody = await startProsody({
      memory: true,
      hosts: ["second.localhost"],
      users: { "gw@localhost": "gwpw", "ann@second.localhost": "annpw" },
    });
    {
      await using owner = await connectClient(prosody, "gw");
      await owner.create("up/events");
    }
    await using gateway = await launchXmppGateway(prosody, { username: "gw", publish: ["up/#"] });
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${gateway.mqtt.port}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    // Makes the node what it must be, before anybody reads.
    await mqtt.publishAsync("up/events", "of old", { qos: 1 });
    await expect.poll(async () => (await gateway.xmpp.counts()).publishing.taken).toBe(1);
    const account = ["ann@second.localhost", "annpw", String(prosody.port)];
    await using program = run(PYTHON, [reader, ...account, prosody.pubsub, "up/events"]);
    await program.said('"subscribed"');
    await program.said('"of old"');
    for (const { payload, contentType } of PAYLOADS)
      await mqtt.publishAsync("up/events", payload, {
        qos: 1,
        properties: { ...(contentType === undefined ? {} : { contentType }), messageExpiryInterval: 900 },
      });
    await mqtt.publishAsync("up/events", "lit", { qos: 1, retain: true });
    await mqtt.publishAsync("up/events", "", { qos: 1, retain: true });
    await program.said('"retract"');
    await mqtt.endAsync();

    const said = program
      .stdout()
      .trim()
      .split("\n")
      // One JSON text a line, by the reader.
      .map((line) => JSON.parse(line) as Said);
    expect(said).toContainEqual({ event: "subscribed", jid: "ann@second.localhost" });
    const items = said.filter(({ event, text }) => event === "item" && text !== "of old");
    expect(items.slice(0, PAYLOADS.length).map(bytesOf)).toEqual(PAYLOADS.map(({ payload }) => payload));
    for (const [at, { sender, id, attributes }] of items.slice(0, PAYLOADS.length).entries()) {
      expect(sender).toBe(prosody.pubsub);
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      expect(attributes).toMatchObject({ [`${NOMQ}qos`]: "1", [`${NOMQ}retain`]: "0", [`${NOMQ}oid`]: id });
      expect(attributes?.[`${NOMQ}ct`]).toBe(PAYLOADS[at]?.contentType);
      expect(Number(attributes?.[`${NOMQ}ttl`])).toBeGreaterThan(600_000);
    }
    expect(items[1]?.tag).toBe("{urn:xmpp:json:0}json");
    expect(items[PAYLOADS.length]).toMatchObject({
      ...{ id: "current", text: "lit", tag: `${NOMQ}text` },
      attributes: { [`${NOMQ}retain`]: "1" },
    });
    expect(said.at(-1)).toEqual({ event: "retract", id: "current" });
  });
});
