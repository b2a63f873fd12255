import type { XmppCounts } from "@nomq/xmpp-bridge";
import { expect } from "vitest";
import { type Gateway, type GatewaySections, launchGateway } from "./gateway.ts";
import type { Prosody } from "./prosody.ts";

/** How a gateway is known to a server, and what it exchanges with it. */
export interface XmppSide {
  /** An account whose password is its name and `pw`. */
  readonly username: string;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  readonly history?: number;
  /** Another port than the server's: of a link in front of it. */
  readonly through?: { readonly port: number };
  /** Another key of the section. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A bridge as `/healthz` shows it. */
interface BridgeHealth {
  readonly state: string;
  readonly reason?: string;
}

/** The real binary with an XMPP side. */
export interface XmppGateway extends Gateway {
  readonly xmpp: {
    health(): Promise<BridgeHealth>;
    counts(): Promise<XmppCounts>;
    /** Resolves once its bridge is ready and so many nodes are subscribed. */
    subscribed(nodes: number): Promise<void>;
  };
}

/** Starts one beside a server, and resolves when it is ready; its XMPP side may not be. */
export async function launchXmppGateway(
  { port, domain }: Pick<Prosody, "port" | "domain">,
  { username, through, more, ...side }: XmppSide,
  sections: GatewaySections = {},
): Promise<XmppGateway> {
  const service = `xmpp://127.0.0.1:${through?.port ?? port}`;
  const account = { service, domain, username, password: `${username}pw` };
  const gateway = await launchGateway({ ...sections, xmpp: { ...account, ...side, ...more } });
  // The documented shape of /healthz.
  const ask = async () =>
    (await gateway.ask("/healthz")) as {
      readonly bridges: Readonly<Record<string, BridgeHealth>>;
      readonly xmpp: XmppCounts;
    };
  const health = async (): Promise<BridgeHealth> => (await ask()).bridges["xmpp"] ?? { state: "absent" };
  const counts = async (): Promise<XmppCounts> => (await ask()).xmpp;
  return {
    ...gateway,
    xmpp: {
      health,
      counts,
      async subscribed(nodes) {
        await expect
          .poll(async () => `${(await health()).state} ${(await counts()).receiving?.subscribed}`)
          .toBe(`ready ${nodes}`);
      },
    },
  };
}
