import { createCoapBridge } from "@nomq/coap-bridge";
import { type Clock, createHub, createMemoryStore, type LedgerRow, type Message } from "@nomq/core";
import { createFaultyStore, type FaultyStore } from "@nomq/core/testing";
import { postControl, streamMessages } from "./control.ts";
import { type GatewaySections, launchGateway } from "./gateway.ts";

/** A message as somebody on another protocol sees it. */
export interface SeenMessage {
  readonly channel: string;
  readonly text: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly contentType?: string;
  readonly priority: number;
  /** Unix milliseconds. */
  readonly expiresAt?: number;
}

/** What another protocol publishes. */
export interface OtherDraft {
  readonly channel: string;
  readonly text: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly contentType?: string;
  readonly ttlSeconds?: number;
}

/** Something that serves channels as resources on 127.0.0.1. */
export interface CoapPlace extends AsyncDisposable {
  readonly port: number;
  /** Every message but retained bursts, as a subscriber of `#` got it, in order. */
  readonly seen: readonly SeenMessage[];
  /** Publishes as another protocol does; resolves when it is stored. */
  publish(draft: OtherDraft): Promise<void>;
}

/** Sections of the bridge's options, the same in `gateway.yaml`. */
export type CoapSection = Omit<Parameters<typeof createCoapBridge>[0] & object, "listen">;

/** The bridge alone, in this process. */
export interface BridgePlace extends CoapPlace {
  readonly store: FaultyStore;
  /** The row of an attachment. */
  ledger(attachment: string): LedgerRow | undefined;
}

export async function openBridgePlace(
  section: CoapSection = {},
  { clock }: { readonly clock?: Clock } = {},
): Promise<BridgePlace> {
  await using stack = new AsyncDisposableStack();
  const store = createFaultyStore(createMemoryStore(clock === undefined ? {} : { clock }));
  const hub = stack.use(createHub({ store, ...(clock !== undefined && { clock }) }));
  const coap = createCoapBridge({ listen: ["coap://127.0.0.1:0"], ...section });
  hub.add(coap);
  await hub.start();
  const seen: SeenMessage[] = [];
  const other = hub.port("other");
  await other.attach({
    name: "other:watcher",
    as: "*",
    filters: ["#"],
    durable: false,
    deliver: (message) => {
      seen.push(seenOf(message));
      return Promise.resolve({ is: "delivered" });
    },
  });
  const kept = stack.move();
  return {
    port: portOf(coap.addresses()),
    seen,
    store,
    ledger: (attachment) => hub.attachments().find(({ name }) => name === attachment)?.ledger,
    publish: async ({ text, ttlSeconds, ...rest }) => {
      const life = ttlSeconds === undefined ? {} : { ttlMs: ttlSeconds * 1000 };
      const draft = { ...rest, ...life, payload: Buffer.from(text) };
      const receipt = await other.publish(draft, "*", { until: "stored" });
      if (receipt.at === "refused") throw new Error(`refused: ${receipt.reason}`);
    },
    [Symbol.asyncDispose]: async () => {
      store.heal();
      await kept.disposeAsync();
    },
  };
}

const portOf = (urls: readonly string[] = []): number => Number(/:(\d+)$/.exec(urls[0] ?? "")?.[1]);

function seenOf(message: Message): SeenMessage {
  const { channel, payload, qos, retain, contentType, priority, expiresAt } = message;
  return {
    ...{ channel, text: Buffer.from(payload).toString(), qos, retain, priority },
    ...(contentType !== undefined && { contentType }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** The whole gateway as a process of its own, on its real store. */
async function openGatewayPlace(section: CoapSection = {}): Promise<CoapPlace> {
  await using stack = new AsyncDisposableStack();
  const poll = section.poll?.map((each) => ({ ...each, every: `${each.every}ms` }));
  const sections: GatewaySections = { coap: { ...section, ...(poll !== undefined && { poll }) } };
  const gateway = stack.use(await launchGateway(sections));
  const stream = await streamMessages(gateway.control, "#");
  stack.defer(() => stream.close());
  const seen: SeenMessage[] = [];
  const read = async (): Promise<void> => {
    for (;;) {
      const { payload = "", ...message } = await stream.next();
      seen.push({ ...message, text: payload });
    }
  };
  // Ends with the stream.
  read().catch(() => undefined);
  const kept = stack.move();
  return {
    port: gateway.coapPort,
    seen,
    publish: async ({ text, ttlSeconds, ...rest }) => {
      const life = ttlSeconds === undefined ? {} : { ttl: ttlSeconds };
      const draft = { ...rest, ...life, payload: text };
      const { status, body } = await postControl(gateway.control, "/api/v1/publish", draft);
      if (status !== 200) throw new Error(`refused: ${body}`);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Where the suites are run: the bridge that npm serves by itself, and the program. */
export const PLACES: readonly { readonly name: string; open(section?: CoapSection): Promise<CoapPlace> }[] = [
  { name: "the bridge alone", open: openBridgePlace },
  { name: "the whole gateway", open: openGatewayPlace },
];
