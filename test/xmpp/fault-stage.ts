import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { XmppCounts } from "@nomq/xmpp-bridge";
import { testFolder } from "../../packages/gateway/test/launch.ts";
import { askControlText } from "../real/control.ts";
import { type FaultyLink, openFaultyLink } from "../real/faulty-link.ts";
import { type Prosody, startProsody } from "../real/prosody.ts";
import { type Book, openBook, type Sent } from "../trust/book.ts";
import { type Ground, groundPorts, openGround, siteKey } from "../trust/ground.ts";
import { type MqttParty, openMqttParty } from "../trust/mqtt-party.ts";
import { type NodeParty, openNodeParty } from "../trust/nomq-parties.ts";
import { openRelay } from "../trust/relay.ts";
import { draws } from "../trust/seed.ts";
import { createNode, openXmppParty, type XmppParty } from "./parties.ts";

/** Channels that MQTT and NoMQ write at QoS 1 and 2, and that are read at the XMPP server. */
export const UP: readonly string[] = ["up/mqtt1", "up/mqtt2", "up/nomq1", "up/nomq2"];
/** Channels that are written at the XMPP server, and that MQTT and NoMQ read. */
export const DOWN: readonly string[] = ["down/a1", "down/a2", "down/b1", "down/b2"];
/** Prosody's most is 256. */
const HISTORY = 250;

/** A gateway between a Prosody and its parties, all of which may be ended and started again. */
export interface FaultStage extends AsyncDisposable {
  readonly book: Book;
  readonly ground: Ground;
  readonly prosody: Prosody;
  /** Between the gateway and the server. */
  readonly link: FaultyLink;
  readonly mqtt: Readonly<Record<"pub5" | "sub5", MqttParty>>;
  readonly node: NodeParty;
  /** She publishes at the server, he reads there. */
  readonly alice: XmppParty;
  readonly bob: XmppParty;
  publish(sent: Sent): Promise<void>;
  health(): Promise<Health>;
  metrics(): Promise<string>;
}

/** The documented shape of /healthz, as far as it is looked at. */
export interface Health {
  readonly bridges: Readonly<Record<string, { readonly state: string; readonly reason?: string }>>;
  readonly xmpp: XmppCounts;
}

/** Starts everybody; resolves once the gateway reads its nodes and is read. `history`: items that nodes keep, default 250. */
export async function openFaultStage(
  seed: number,
  { history = HISTORY }: { readonly history?: number } = {},
): Promise<FaultStage> {
  await using stack = new AsyncDisposableStack();
  const prosody = stack.use(await startProsody({ admins: ["gw@localhost", "alice@localhost"] }));
  const book = openBook();
  const alice = stack.use(await openXmppParty(prosody, "alice", book));
  const bob = stack.use(await openXmppParty(prosody, "bob", book));
  {
    await using owner = await openXmppParty(prosody, "gw", book);
    for (const name of UP) await owner.done(createNode(prosody.pubsub, name, history));
  }
  for (const name of DOWN) await alice.done(createNode(prosody.pubsub, name, history));
  await bob.read(UP, "bob");

  const link = stack.use(await openFaultyLink(prosody.port));
  const ports = await groundPorts();
  const way = await stack.use(openRelay(ports.nomq, draws(seed, "relay"))).open();
  const folder = stack.use(testFolder());
  mkdirSync(join(folder.path, "data"), { mode: 0o700 });
  const config = configText({ ports, device: way.port, link, history });
  const died = (why: Error): void => book.fail(why);
  const ground = stack.use(openGround({ folder, ports, config, died }));
  await ground.start();
  const node = stack.use(await openNodeParty({ name: "node", way, book, channels: [...UP, ...DOWN] }));
  const client = (name: string, filters: readonly string[]): MqttParty =>
    stack.use(openMqttParty({ name, version: 5, port: ports.mqtt, book, filters }));
  const mqtt = { pub5: client("pub5", []), sub5: client("sub5", ["down/#"]) };
  await Promise.all([mqtt.pub5.ready(), mqtt.sub5.ready()]);
  const health = async (): Promise<Health> => (await ground.ask("/healthz")) as Health;
  await until(async () => (await health()).xmpp.receiving?.subscribed === DOWN.length);
  const kept = stack.move();
  return {
    ...{ book, ground, prosody, link, mqtt, node, alice, bob, health },
    metrics: () => askControlText(join(folder.path, "data", "control.sock"), "/metrics"),
    publish(sent) {
      if (sent.party === "alice") return alice.publish(sent);
      return (sent.party === "node" ? node : mqtt.pub5).publish(sent);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const LOOK_AGAIN_MS = 50;

/** Resolves once it holds; the test's own limit ends it. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}

interface Places {
  readonly ports: { readonly nomq: number; readonly mqtt: number };
  /** Of the NoMQ node. */
  readonly device: number;
  readonly link: FaultyLink;
  readonly history: number;
}

function configText({ ports, device, link, history }: Places): string {
  const sections = {
    nomq: {
      listen: [`udp://127.0.0.1:${ports.nomq}`],
      keys: [siteKey],
      channels: [...UP, ...DOWN],
      pace: 200,
      devices: [{ name: "node", address: `127.0.0.1:${device}`, kind: "node", subscribe: ["down/#"] }],
    },
    mqtt: { listen: [`mqtt://127.0.0.1:${ports.mqtt}`] },
    coap: { listen: [] },
    http: { listen: [] },
    xmpp: {
      service: `xmpp://127.0.0.1:${link.port}`,
      ...{ domain: "localhost", username: "gw", password: "gwpw" },
      ...{ publish: ["up/#"], subscribe: ["down/#"], history },
    },
    log: { format: "json", level: "info" },
  };
  return Object.entries(sections)
    .map(([name, section]) => `${name}: ${JSON.stringify(section)}\n`)
    .join("");
}
