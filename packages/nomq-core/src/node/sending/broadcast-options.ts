import type { Qos } from "../../message.ts";
import type { Endpoint } from "../../transport.ts";

/** Options of a node's `broadcast`. */
export interface NodeBroadcastOptions {
  /**
   * Where to: the limited broadcast (goes out on one interface), broadcast addresses of subnets, multicast groups
   * (`ff02::1%eth0`). Default 255.255.255.255 on port 8888.
   */
  readonly to?: Endpoint | readonly Endpoint[];
  /** Only 0: the answer of one says nothing of the others. More is refused as `qos-not-possible`. */
  readonly qos?: Qos;
  /** Default false. */
  readonly retain?: boolean;
  /** Seconds until the outcome is `expired`, also while it waits for its turn; otherwise as for a publish. */
  readonly ttl?: number;
  /** 0 to 15, default 0. */
  readonly priority?: number;
  /**
   * Clocks of the receivers less ours, in seconds: one copy is sent for each. Default 0 and -946,684,800, for devices
   * that count from 1970 and from 2000; over IPv6, which devices cannot use, 0 alone.
   */
  readonly clocks?: readonly number[];
  /** Id of the key that seals it. Default: the first. Peers with another key cannot read it. */
  readonly key?: string;
  readonly signal?: AbortSignal;
}
