import { setTimeout as sleep } from "node:timers/promises";
import type { Attachment, Bridge, Message, Port, PublishOptions, Receipt } from "@nomq/core";
import type {
  BridgeContract,
  BridgeHarness,
  ContractPublisher,
  ContractSend,
  ContractSubscriber,
} from "@nomq/core/testing";
import { bridgeContractCases, CONTRACT_CHANNELS, createFakeClock, settle } from "@nomq/core/testing";
import { afterAll, beforeAll, test } from "vitest";
import { describeWithEjabberd, describeWithPeers } from "../../../test/peers.ts";
import { startEjabberd } from "../../../test/real/ejabberd.ts";
import { type Prosody, startProsody } from "../../../test/real/prosody.ts";
import { createXmppBridge, type XmppBridge } from "../src/index.ts";
import { submission } from "../src/nodes/config-form.ts";
import { requestsTo } from "../src/nodes/pubsub-request.ts";
import { itemPayload } from "../src/payload/item.ts";
import { connectClient, type PubsubClient } from "./pubsub-client.ts";

/** What a test sees of the bridge's talk with its hub. */
interface Overheard {
  attachment: Attachment | undefined;
  /** The hub's word on each message in, by its text: the bridge remembers an item as taken no sooner. */
  readonly receipts: Map<string, Receipt>;
  refusals: number;
}

function overhearing(port: Port, heard: Overheard): Port {
  const publish = async (
    draft: Parameters<Port["publish"]>[0],
    from: Parameters<Port["publish"]>[1],
    options?: PublishOptions,
  ): Promise<Receipt> => {
    const receipt = await port.publish(draft, from, options);
    heard.receipts.set(Buffer.from(draft.payload).toString(), receipt);
    if (receipt.at === "refused") heard.refusals += 1;
    return receipt;
  };
  const attach: Port["attach"] = async (peer, options) => {
    const attachment = await port.attach(peer, options);
    heard.attachment = attachment;
    return attachment;
  };
  // The hub's port has no state of its own that a copy could miss.
  return { ...port, clock: port.clock, log: port.log, sessionLog: port.sessionLog, publish, attach };
}

const messageOf = ({ channel, text, qos, retain = false, ttlSeconds }: ContractSend): Message => ({
  ...{ id: "0".repeat(32), seq: 0, priority: 0, publishedAt: 0, origin: "test" },
  ...{ channel, payload: Buffer.from(text), qos, retain },
  ...(ttlSeconds === undefined ? {} : { expiresAt: 0 }),
});

/** Its items have our attributes but no origin, as those of a program that knows the namespace. */
function payloadFor(message: ContractSend) {
  const ttl = message.ttlSeconds === undefined ? {} : { expiresInMs: message.ttlSeconds * 1000 };
  const payload = itemPayload(messageOf(message), { gateway: "test", ...ttl });
  if (payload === "too-large") throw new Error("too large");
  for (const name of ["n:oid", "n:gw", "n:exp"]) delete payload.attrs[name];
  return payload;
}

let items = 0;

let server: Prosody;
let socketsBefore = 0;

async function makeHarness(): Promise<BridgeHarness> {
  const owner = await connectClient(server, "alice");
  for (const node of CONTRACT_CHANNELS) {
    await owner.delete(node);
    await owner.create(node);
    // On ejabberd who may make nodes may not publish on those of others.
    await owner.ask(requestsTo(server.pubsub).configure(node, submission({ publish_model: "open" })));
  }
  await owner[Symbol.asyncDispose]();
  // The cases count sockets: those of the case before and of making nodes are gone.
  while (openSockets() > socketsBefore) await sleep(2);
  return harnessAt(server);
}

const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length;

function harnessAt(prosody: Prosody): BridgeHarness {
  const bridge = createXmppBridge({
    ...{ service: prosody.service, domain: prosody.domain, username: "gw", password: "gwpw" },
    publish: ["contract/#"],
    subscribe: ["contract/#"],
  });
  const heard: Overheard = { attachment: undefined, receipts: new Map(), refusals: 0 };
  const clients: PubsubClient[] = [];
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await sleep(2);
  };
  const client = async (username: "alice" | "bob"): Promise<PubsubClient> => {
    const made = await connectClient(prosody, username);
    clients.push(made);
    await until(() => (bridge.counts().receiving?.subscribed ?? 0) === CONTRACT_CHANNELS.length);
    return made;
  };
  const asPublisher = (made: PubsubClient): ContractPublisher => ({
    async send(message) {
      const { channel, qos, retain = false, text } = message;
      if (retain && text === "") await made.retract(channel, "current");
      else await made.publish(channel, retain ? "current" : `item-${++items}`, payloadFor(message));
      const receipt = (): Receipt | undefined => heard.receipts.get(text);
      if (qos === 0) return "acknowledged";
      await until(() => receipt() !== undefined && receipt()?.at !== "refused");
      return "acknowledged";
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  });
  const asSubscriber = async (made: PubsubClient, channel: string): Promise<ContractSubscriber> => {
    // What the hub has sent before is no news to who comes now.
    await until(() => heard.attachment?.ledger().pending === 0 && bridge.counts().publishing.expiring === 0);
    await made.subscribe(channel);
    let most = Number.POSITIVE_INFINITY;
    return {
      get seen() {
        return made.seen.slice(0, most).map(({ node, text }) => ({ channel: node, text }));
      },
      unsubscribe: async () => void (await made.unsubscribe(channel)),
      stall() {
        most = made.seen.length;
      },
      [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
    };
  };
  return {
    bridge: overheard(bridge, heard),
    clock: createFakeClock(),
    turn: async () => {
      await sleep(2);
      await settle();
    },
    // The server is a process of its own: half a minute of turns, not four seconds.
    mostTurns: 15_000,
    publisher: async () => asPublisher(await client("alice")),
    subscriber: async (channel) => asSubscriber(await client("bob"), channel),
    async both(channel) {
      const made = await client("alice");
      return Object.assign(await asSubscriber(made, channel), { send: asPublisher(made).send });
    },
    refusals: () => heard.refusals,
    async [Symbol.asyncDispose]() {
      await bridge.stop();
      await Promise.all(clients.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

const overheard = (bridge: XmppBridge, heard: Overheard): Bridge => ({
  ...bridge,
  attach: (port) => bridge.attach(overhearing(port, heard)),
});

const contract: BridgeContract = {
  traits: { qos: [0, 1, 2], ttl: true, ownCopies: 1, refusal: "withheld" },
  make: makeHarness,
};

const suiteOver = (start: () => Promise<Prosody>) => (): void => {
  beforeAll(async () => {
    socketsBefore = openSockets();
    server = await start();
    while (openSockets() > socketsBefore) await sleep(2);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  test.for(bridgeContractCases.filter((one) => one.applies(contract)))("$name", (one) => one.run(contract));
};

const admins = ["gw@localhost", "alice@localhost", "bob@localhost"];

describeWithPeers(
  "the XMPP bridge keeps the bridge contract",
  ["prosody", "openssl"],
  suiteOver(() => startProsody({ memory: true, admins })),
);

describeWithEjabberd(
  "the XMPP bridge keeps the bridge contract on ejabberd",
  suiteOver(() => startEjabberd()),
);
