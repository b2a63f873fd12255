import type { Port } from "../bridge.ts";
import type { IncomingMessage } from "../node/contract.ts";

/** Messages of peers that the hub refused. */
export interface Refusals {
  add(reason: string, incoming: IncomingMessage): void;
  /** By reason. */
  read(): Readonly<Record<string, number>>;
}

/** Makes the counter; `port` is where it is said. */
export function createRefusals(port: () => Port | undefined): Refusals {
  const counts = new Map<string, number>();
  return {
    add(reason, { channel, peer }) {
      // Reasons may name an attachment: what follows the colon is not counted apart.
      const kind = reason.split(":")[0] ?? reason;
      const before = counts.get(kind) ?? 0;
      counts.set(kind, before + 1);
      const said = port();
      if (before === 0) said?.log.warn("message from a peer refused; said once by reason", { reason });
      const details = { peer: peer.id, channel, reason };
      said?.sessionLog.record({ who: `nomq:${peer.key}`, what: "publish.refused", details });
    },
    read: () => Object.fromEntries(counts),
  };
}
