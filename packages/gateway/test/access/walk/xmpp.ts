import { type Prosody, startProsody } from "../../../../../test/real/prosody.ts";
import { readItem } from "../../../../xmpp-bridge/src/payload/item.ts";
import { element } from "../../../../xmpp-bridge/src/stream/build.ts";
import { Namespace } from "../../../../xmpp-bridge/src/stream/element.ts";
import { connectClient } from "../../../../xmpp-bridge/test/pubsub-client.ts";
import type { Health } from "../../../src/api/health.ts";
import type { WalkGateway } from "./gateway.ts";
import type { Receiver } from "./receivers.ts";
import { CHANNELS, EVERYTHING, MARK_CHANNELS } from "./rules.ts";
import type { Sender } from "./senders.ts";

const NODES = [...CHANNELS, ...MARK_CHANNELS];

/** A server with somebody who reads all that a gateway writes there, and somebody who writes what the gateway reads. */
export interface XmppSide extends AsyncDisposable {
  /** The gateway's section. */
  readonly section: object;
  readonly receiver: Receiver;
  /** Once the gateway reads every node. */
  sender(gateway: WalkGateway): Promise<Sender>;
}

/** Starts it; `tells`: the service says who published. */
export async function startXmppSide(tells: boolean): Promise<XmppSide> {
  const admins = ["gw@localhost", "alice@localhost"];
  const told = tells ? { morePubsub: "expose_publisher = true" } : {};
  await using stack = new AsyncDisposableStack();
  const prosody: Prosody = stack.use(await startProsody({ memory: true, admins, ...told }));
  const alice = stack.use(await connectClient(prosody, "alice"));
  for (const node of NODES) await alice.create(node);
  const receiver = stack.use(await everythingReceiver(prosody));
  const ended = stack.move();
  return {
    section: {
      ...{ service: prosody.service, domain: "localhost", username: "gw", password: "gwpw" },
      ...{ publish: ["#"], subscribe: ["#"] },
    },
    receiver,
    async sender(gateway) {
      while ((await sideOf(gateway))?.receiving?.subscribed !== NODES.length) await pause();
      return {
        name: `xmpp ${tells ? "told" : "untold"}`,
        who: tells ? "jid:alice@localhost" : "jid:pubsub.localhost",
        side: "xmpp",
        async send(channel, text) {
          const before = await judged(gateway);
          await alice.publish(channel, text, element("text", { xmlns: Namespace.nomq }, [text]));
          // XMPP says nothing: it is told by what the gateway has counted.
          for (let now = before; ; now = await judged(gateway)) {
            if (now.taken + now.refused === before.taken + before.refused + 1)
              return now.taken > before.taken;
            await pause();
          }
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
    [Symbol.asyncDispose]: () => ended[Symbol.asyncDispose](),
  };
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function sideOf({ control }: WalkGateway): Promise<Health["xmpp"]> {
  // The documented shape of /healthz.
  return ((await control.get("/healthz")).body as Health).xmpp;
}

async function judged(gateway: WalkGateway): Promise<{ readonly taken: number; readonly refused: number }> {
  const side = await sideOf(gateway);
  return { taken: side?.receiving?.published ?? 0, refused: side?.messagesRefused["access"] ?? 0 };
}

/** The gateway's nodes are read by whom the server lets: no rule is asked. */
async function everythingReceiver(prosody: Prosody): Promise<Receiver> {
  const bob = await connectClient(prosody, "bob");
  for (const node of NODES) await bob.subscribe(node);
  const written = (): string[] =>
    bob.seen.flatMap(({ node, text, payload }) =>
      readItem(payload)?.gateway === undefined ? [] : [`${node} ${text}`],
    );
  return {
    ...{ name: "xmpp", who: EVERYTHING, side: "xmpp", filters: ["#"], refused: [] },
    get got() {
      return new Set(written());
    },
    [Symbol.asyncDispose]: () => bob[Symbol.asyncDispose](),
  };
}
