import { createServer } from "node:net";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Prosody, type ProsodySetup, startProsody } from "../../../../test/real/prosody.ts";
import { requestsTo } from "../../../xmpp-bridge/src/nodes/pubsub-request.ts";
import { itemPayload } from "../../../xmpp-bridge/src/payload/item.ts";
import type { Element } from "../../../xmpp-bridge/src/stream/element.ts";
import { connectClient } from "../../../xmpp-bridge/test/pubsub-client.ts";
import type { AccessRule } from "../../src/access/index.ts";
import type { Health } from "../../src/api/health.ts";
import { createControlClient } from "../../src/control/control-client.ts";
import { createGateway, parseConfig } from "../../src/index.ts";
import { launchGateway, testFolder } from "../launch.ts";
import { served } from "../served.ts";

const BARE = "nomq: { listen: [] }\nmqtt: { listen: [] }\n";
const ADMINS: ProsodySetup = { memory: true, admins: ["gw@localhost", "alice@localhost"] };

/** The section for a server, every JSON text being YAML too. */
const xmpp = (prosody: Pick<Prosody, "service">, more: object = {}): string =>
  `xmpp: ${JSON.stringify({
    ...{ service: prosody.service, domain: "localhost", username: "gw", password: "gwpw" },
    ...{ publish: ["house/#"], subscribe: ["house/#"], ...more },
  })}\n`;

function payload(text: string): Element {
  const message = { id: "0".repeat(32), seq: 0, priority: 0, publishedAt: 0, origin: "test", retain: true };
  const made = itemPayload(
    { ...message, channel: "", qos: 1, payload: Buffer.from(text), contentType: "text/plain" },
    { gateway: "test" },
  );
  if (made === "too-large") throw new Error(made);
  for (const name of ["n:oid", "n:gw"]) delete made.attrs[name];
  return made;
}

describeWithPeers("a gateway and a real Prosody", ["prosody", "openssl"], () => {
  test("an MQTT message is an item, an item is an MQTT message, and everything says so", async () => {
    await using prosody = await startProsody(ADMINS);
    await using alice = await connectClient(prosody, "alice");
    await alice.create("house/temp");
    using folder = testFolder();
    await using gateway = await launchGateway({ folder, config: xmpp(prosody) });
    expect(gateway.listen).not.toHaveProperty("xmpp");
    const client = createControlClient(gateway.controlSocket);
    const health = async (): Promise<Health> => (await client.get("/healthz")).body as Health;
    await expect.poll(async () => (await health()).xmpp?.receiving?.subscribed).toBe(1);
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "mqtt")}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    const came: string[] = [];
    mqtt.on("message", (topic, text, { retain, properties }) =>
      came.push(`${topic} ${text.toString()} ${retain} ${properties?.contentType}`),
    );
    await mqtt.subscribeAsync("house/#", { qos: 1, rap: true });
    await alice.publish("house/temp", "current", payload("21"));
    await expect.poll(() => came).toEqual(["house/temp 21 true text/plain"]);

    await mqtt.publishAsync("house/wind", "7 m/s", { qos: 1, retain: true });
    await expect
      .poll(async () => (await alice.items("house/wind"))?.map(({ id, text }) => `${id} ${text}`))
      .toEqual(["current 7 m/s"]);
    await mqtt.endAsync();

    const { bridges, xmpp: side } = await health();
    expect(bridges["xmpp"]).toMatchObject({ state: "ready" });
    expect(side).toMatchObject({
      publishing: { taken: 1 },
      link: { sessions: 1 },
      nodes: { created: 1 },
      receiving: { published: 1 },
    });
    const metrics = String((await client.get("/metrics")).body);
    expect(metrics).toContain("\nnomq_xmpp_items_taken_total 1\n");
    expect(metrics).toContain('\nnomq_xmpp_items_outcomes_total{outcome="published"} 1\n');
    expect(metrics).toContain('\nnomq_bridge_state{bridge="xmpp",state="ready"} 1\n');
    expect(metrics).toContain('\nnomq_attachment_active{attachment="xmpp:pubsub.localhost"} 1\n');
    const { body: log } = await client.get("/api/v1/log");
    expect(log).toContainEqual(
      expect.objectContaining({
        who: "xmpp",
        what: "service.reached",
        details: { service: prosody.service, pubsub: "pubsub.localhost", account: "gw@localhost" },
      }),
    );
    expect(gateway.stdout() + gateway.stderr()).not.toContain("gwpw");
  });

  test("publishers the server admits and our rules do not are refused, counted and recorded", async () => {
    await using prosody = await startProsody(ADMINS);
    await using alice = await connectClient(prosody, "alice");
    for (const node of ["house/open", "house/shut"]) await alice.create(node);
    using folder = testFolder();
    // Prosody names no publisher in notifications: who speaks is the service.
    const rules = 'access: { rules: [{ who: "jid:Pubsub.LocalHost", publish: ["house/open"] }] }\n';
    await using gateway = await launchGateway({ folder, config: `${xmpp(prosody)}${rules}` });
    const client = createControlClient(gateway.controlSocket);
    const side = async (): Promise<Health["xmpp"]> => ((await client.get("/healthz")).body as Health).xmpp;
    await expect.poll(async () => (await side())?.receiving?.subscribed).toBe(2);
    await alice.publish("house/shut", "current", payload("no"));
    await alice.publish("house/open", "current", payload("yes"));
    await expect
      .poll(async () => (await client.get("/api/v1/channels/house%2Fopen")).body)
      .toMatchObject({ payload: "yes" });
    await expect.poll(async () => (await side())?.messagesRefused).toEqual({ access: 1 });
    expect((await client.get("/api/v1/channels/house%2Fshut")).status).toBe(404);
    expect(String((await client.get("/metrics")).body)).toContain(
      'nomq_ingress_refused_total{protocol="xmpp",reason="access"} 1\n',
    );
    const { body: log } = await client.get("/api/v1/log");
    expect(log).toContainEqual(
      expect.objectContaining({
        who: "jid:pubsub.localhost",
        what: "publish.refused",
        details: expect.objectContaining({ channel: "house/shut", protocol: "xmpp", reason: "access" }),
      }),
    );
    await gateway.said('{ who: \\"jid:pubsub.localhost\\", publish: [\\"house/shut\\"] }', "stderr");
    // A flood is counted, not written down.
    await Promise.all(
      Array.from({ length: 200 }, (_, at) => alice.publish("house/shut", `e${at}`, payload("no"))),
    );
    await expect.poll(async () => (await side())?.messagesRefused).toEqual({ access: 201 });
    expect(gateway.stderr().split("refused by the access rules")).toHaveLength(2);
    const { body: all } = await client.get("/api/v1/log?last=1000");
    const refusals = (all as { what: string }[]).filter(({ what }) => what === "publish.refused");
    expect(refusals.length).toBeLessThan(10);
  });

  test("where the server says who published, each publisher is held to its own rules, also to changed ones", async () => {
    const admins = ["gw@localhost", "alice@localhost", "bob@localhost"];
    const setup = { memory: true, admins, morePubsub: "expose_publisher = true" };
    await using prosody = await startProsody(setup);
    await using alice = await connectClient(prosody, "alice");
    await using bob = await connectClient(prosody, "bob");
    for (const node of ["house/a", "house/b"]) await alice.create(node);
    let rules: AccessRule[] = [
      { who: "jid:alice@localhost", publish: ["house/a"] },
      { who: "jid:bob@localhost", publish: ["house/b"] },
    ];
    const accounts = { users: [], tokens: [] };
    const text = `data: memory\n${BARE}${xmpp(prosody)}coap: { listen: [] }\nhttp: { listen: [] }\n`;
    const config = { ...parseConfig({ name: "test", text, folder: "/" }), access: { ...accounts, rules } };
    await using gateway = createGateway({ config, accessSource: () => ({ ...accounts, rules }) });
    const client = createControlClient((await gateway.start()).controlSocket);
    await expect.poll(() => gateway.health().xmpp?.receiving?.subscribed).toBe(2);
    let sent = 0;
    /** What became of one publish of each on each node: `alice a`. */
    const tried = async (): Promise<readonly string[]> => {
      const taken: string[] = [];
      for (const [name, who] of Object.entries({ alice, bob })) {
        for (const node of ["a", "b"]) {
          sent += 1;
          await who.publish(`house/${node}`, "current", payload(`${name} ${sent}`));
          await expect.poll(() => decided(gateway.health())).toBe(sent);
          const { body } = await client.get(`/api/v1/channels/house%2F${node}`);
          if ((body as { payload?: string }).payload === `${name} ${sent}`) taken.push(`${name} ${node}`);
        }
      }
      return taken;
    };
    expect(await tried()).toEqual(["alice a", "bob b"]);
    rules = [{ who: "jid:alice@localhost", publish: ["house/b"] }];
    expect(gateway.reloadAccess("test").is).toBe("changed");
    expect(await tried()).toEqual(["alice b"]);
    expect(gateway.health().xmpp?.messagesRefused).toEqual({ access: 5 });
  });
});

/** Items that were taken or refused. */
const decided = ({ xmpp: side }: Health): number =>
  (side?.receiving?.published ?? 0) + (side?.messagesRefused["access"] ?? 0);

/** Ends when the bridge says so: what an operator reads. */
async function reasonOf(config: string, holds: (reason: string) => boolean): Promise<void> {
  await using it = await served(`${BARE}${config}`);
  const said: string[] = [];
  await expect
    .poll(
      () => {
        const { ready, bridges } = it.gateway.health();
        const { state = "", reason = "" } = bridges["xmpp"] ?? {};
        const text = `${state}: ${reason}`;
        if (said.at(-1) !== text) said.push(text);
        // The others are served all the same.
        return ready && holds(text) ? "as it should be" : said.join("\n");
      },
      { interval: 20 },
    )
    .toBe("as it should be");
}

describeWithPeers("what is wrong stands in /healthz", ["prosody", "openssl"], () => {
  test("a wrong password", async () => {
    await using prosody = await startProsody({ memory: true });
    await reasonOf(xmpp(prosody, { password: "wrong" }), (text) => /^degraded: .*not-authorized/.test(text));
  });

  test("no pubsub service", async () => {
    await using prosody = await startProsody({ pubsub: false });
    await reasonOf(xmpp(prosody), (text) => /^degraded: pubsub service pubsub\.localhost: /.test(text));
  });

  test.each(["nowhere.localhost", "localhost"])("a pubsub service that is none: %s", async (pubsub) => {
    await using prosody = await startProsody({ memory: true });
    await reasonOf(
      xmpp(prosody, { pubsub }),
      (text) =>
        text.startsWith(`degraded: pubsub service ${pubsub}: `) && text.includes("correct xmpp.pubsub"),
    );
  });

  test("a certificate that nobody vouches for, and one of another name", async () => {
    await using prosody = await startProsody({ memory: true, tls: true, certificateFor: "elsewhere" });
    using folder = testFolder();
    const ca = folder.file("ca.pem", prosody.ca);
    for (const [tls, code] of [
      [{ required: true }, "DEPTH_ZERO_SELF_SIGNED_CERT"],
      [{ required: true, ca }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ] as const)
      await reasonOf(
        xmpp(prosody, { tls }),
        (text) =>
          text.endsWith(`the server's certificate is not trusted: ${code}`) && text.startsWith("degraded: "),
      );
  });

  test("a node of somebody else's that takes nothing from us, until its owner lets us, also at QoS 0", async () => {
    await using prosody = await startProsody({ memory: true, admins: ["alice@localhost"] });
    await using alice = await connectClient(prosody, "alice");
    await alice.create("house/temp");
    await using it = await served(`${BARE}${xmpp(prosody)}`);
    const state = (): unknown => it.gateway.health().bridges["xmpp"];
    await expect.poll(state).toMatchObject({ state: "ready" });
    for (const qos of [1, 0] as const) {
      await it.client.publish({ channel: "house/temp", payload: "21", qos });
      await expect.poll(state).toMatchObject({ state: "degraded", reason: 'node "house/temp": forbidden' });
    }
    await expect.poll(() => it.gateway.health().xmpp?.publishing.unheard).toEqual({ forbidden: 1 });
    expect(state()).toMatchObject({ state: "degraded" });
    const publisher = { jid: "gw@localhost", affiliation: "publisher" } as const;
    await alice.ask(requestsTo(prosody.pubsub).affiliate("house/temp", [publisher]));
    await it.client.publish({ channel: "house/temp", payload: "22", qos: 1 });
    await expect.poll(state).toMatchObject({ state: "ready" });
  });

  test("no STARTTLS where TLS is required", async () => {
    await using prosody = await startProsody({ memory: true });
    await reasonOf(xmpp(prosody, { tls: { required: true } }), (text) => /^degraded: .*tls/i.test(text));
  });

  test("nobody there", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    await new Promise((closed) => server.close(closed));
    const service = `xmpp://127.0.0.1:${port}`;
    await reasonOf(xmpp({ service }), (text) => text.startsWith(`reconnecting: ${service}: `));
  });

  test("a node that may not be made", async () => {
    await using prosody = await startProsody({ memory: true, admins: [] });
    await using it = await served(`${BARE}${xmpp(prosody)}`);
    await expect.poll(() => it.gateway.health().bridges["xmpp"]?.state).toBe("ready");
    await it.client.publish({ channel: "house/temp", payload: "21", qos: 1, retain: true });
    await expect
      .poll(() => it.gateway.health().bridges["xmpp"])
      .toMatchObject({ state: "degraded", reason: 'node "house/temp": forbidden' });
    expect(it.gateway.health().ready).toBe(true);
  });
});
