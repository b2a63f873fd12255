import { createHub, createMemoryStore, type Port } from "@nomq/core";
import { createXmppBridge, type XmppBridge } from "@nomq/xmpp-bridge";
import type { Loop } from "../closed-loop.ts";

/** A hub with an XMPP bridge, as the gateway has them. */
export interface Subject extends AsyncDisposable {
  readonly bridge: XmppBridge;
  /** Publishes to the hub; arrivals are receipts that say `delivered`. */
  readonly publishing: Loop;
  /** Calls back with each message that came in. */
  onMessages(tell: (count: number) => void): void;
}

const LOOK_AGAIN_MS = 20;

/** Starts one; resolves once it is ready. */
export async function startSubject(
  service: string,
  filters: { readonly publish?: readonly string[]; readonly subscribe?: readonly string[] },
  message: { readonly channel: string; readonly payload: Uint8Array },
): Promise<Subject> {
  const account = { domain: "localhost", username: "gw", password: "gwpw" };
  const bridge = createXmppBridge({ service, ...account, ...filters });
  const hub = createHub({ store: createMemoryStore() });
  hub.add(bridge);
  await hub.start();
  const nodes = filters.subscribe === undefined ? 0 : 1;
  const isReady = (): boolean =>
    bridge.status().state === "ready" && (bridge.counts().receiving?.subscribed ?? 0) >= nodes;
  while (!isReady()) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  const port = hub.port("bench");
  const listeners = {
    messages: (_count: number): void => undefined,
    taken: (_count: number): void => undefined,
  };
  await hub.port("counter").attach({
    ...{ name: "counter", as: "*", durable: false, filters: filters.subscribe ?? [] },
    deliver: async () => {
      listeners.messages(1);
      return { is: "delivered" };
    },
  });
  return {
    bridge,
    publishing: {
      send: () => void publish(port, message).then(() => listeners.taken(1)),
      onArrivals: (tell) => {
        listeners.taken = tell;
      },
    },
    onMessages: (tell) => {
      listeners.messages = tell;
    },
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}

async function publish(
  port: Port,
  message: { readonly channel: string; readonly payload: Uint8Array },
): Promise<void> {
  const draft = { ...message, qos: 1 as const, retain: false };
  const { id, outcomes } = await port.publish(draft, "anonymous", { until: "delivered" });
  if (outcomes[0]?.is !== "delivered") throw new Error(`${id} was not delivered`);
}
