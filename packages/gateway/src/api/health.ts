import type { AttachmentState, Bridge, BridgeStatus, NomqBridgeCounts } from "@nomq/core";

/** What `GET /healthz` answers. */
export interface Health {
  /** The process answers. */
  readonly live: boolean;
  /** Every bridge does its work, if only in part; the answer is 503 otherwise. */
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, BridgeStatus>>;
  /** Durable attachments of an earlier run that nobody has claimed. */
  readonly unclaimed: readonly string[];
  /**
   * The NoMQ side: datagrams rejected and messages refused by reason, channels that arrived as a hash nobody knows
   * a name for, devices whose clock no rule accepts. Absent without NoMQ listeners.
   */
  readonly nomq?: NomqBridgeCounts;
}

/** Who is asked for the health of a gateway. */
export interface HealthSources {
  readonly bridges: readonly Bridge[];
  attachments(): readonly AttachmentState[];
  nomq(): NomqBridgeCounts | undefined;
}

/** The health now. */
export function healthOf(sources: HealthSources): Health {
  const bridges = Object.fromEntries(sources.bridges.map((bridge) => [bridge.name, bridge.status()]));
  const nomq = sources.nomq();
  return {
    live: true,
    // A remote that is away makes a bridge `reconnecting`; the gateway still serves everyone else.
    ready: Object.values(bridges).every(({ state }) => state !== "starting" && state !== "closed"),
    bridges,
    unclaimed: sources
      .attachments()
      .filter(({ state }) => state === "unclaimed")
      .map(({ name }) => name),
    ...(nomq === undefined ? {} : { nomq }),
  };
}
