import {
  type Clock,
  createHub,
  createMemoryStore,
  type Draft,
  type Hub,
  type Port,
  type Receipt,
  type Store,
  systemClock,
} from "@nomq/core";
import { expect } from "vitest";
import type { Prosody } from "../../../test/real/prosody.ts";
import { createXmppBridge, type XmppBridge, type XmppBridgeOptions } from "../src/index.ts";

/** A hub with the bridge in it. Disposing stops both. */
export interface BridgeWorld extends AsyncDisposable {
  readonly hub: Hub;
  readonly bridge: XmppBridge;
  readonly port: Port;
  publish(draft: Omit<Draft, "payload"> & { readonly text: string }): Promise<Receipt>;
  /** As {@link publish}; resolves with the service's word: `delivered`, `refused: forbidden`. */
  outcome(draft: Omit<Draft, "payload"> & { readonly text: string }): Promise<string>;
  /** Resolves once the bridge is as said. */
  until(state: string, reason?: RegExp): Promise<void>;
}

/** As the bridge's own; the store is new and the clock the system's, unless given. */
export type BridgeWorldOptions = Partial<XmppBridgeOptions> & {
  readonly clock?: Clock;
  readonly store?: Store;
};

/** Starts one; it has not connected yet. */
export async function startBridge(
  server: Pick<Prosody, "service" | "domain">,
  { clock = systemClock, store = createMemoryStore({ clock }), ...options }: BridgeWorldOptions = {},
): Promise<BridgeWorld> {
  const { domain, service } = server;
  const bridge = createXmppBridge({
    ...{ service, domain, username: "gw", password: "gwpw", publish: ["#"] },
    ...options,
  });
  const hub = createHub({ clock, store });
  hub.add(bridge);
  await hub.start();
  const port = hub.port("test");
  const publish: BridgeWorld["publish"] = ({ text, ...draft }) =>
    port.publish({ ...draft, payload: Buffer.from(text) }, "anonymous");
  return {
    ...{ hub, bridge, port, publish },
    async outcome(draft) {
      const { id } = await publish(draft);
      let found = "";
      for await (const { outcomes } of port.follow(id)) {
        const [one] = outcomes;
        found = one?.reason === undefined ? (one?.is ?? "") : `${one.is}: ${one.reason}`;
      }
      return found;
    },
    async until(state, reason) {
      await expect.poll(() => bridge.status().state, { interval: 5 }).toBe(state);
      if (reason !== undefined) {
        await expect.poll(() => bridge.status().reason ?? "", { interval: 5 }).toMatch(reason);
      }
    },
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}
