import type { Bridge } from "./bridge.ts";
import type { NodeStatus } from "./node/contract.ts";
import type { NomqBridgeOptions } from "./nomq-bridge/options.ts";

export type * from "./nomq-bridge/options.ts";

/** The NoMQ side as a bridge, named `nomq`. */
export interface NomqBridge extends Bridge {
  /** Counts of the node behind it: rejected datagrams, channel ids without a name, odd clocks. */
  counts(): NomqBridgeCounts;
}

/** What `/healthz` and metrics show of the NoMQ side. */
export interface NomqBridgeCounts extends NodeStatus {
  /** Messages refused at ingress, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

/** Makes the bridge; nothing is opened before `start`. Throws `config-invalid` for an address that is none. */
export function createNomqBridge(options: NomqBridgeOptions): NomqBridge {
  throw new Error(`not yet: ${options.devices?.length}`);
}
