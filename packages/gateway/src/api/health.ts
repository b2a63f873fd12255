import type { AttachmentState, Bridge, BridgeStatus, UnknownChannel, UnknownClock } from "@nomq/core";

/** What `GET /healthz` answers. */
export interface Health {
  /** The process answers. */
  readonly live: boolean;
  /** Every bridge does its work, if only in part; the answer is 503 otherwise. */
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, BridgeStatus>>;
  /** Durable attachments of an earlier run that nobody has claimed. */
  readonly unclaimed: readonly string[];
  /** NoMQ channels that arrived as a hash nobody knows a name for. */
  readonly unknownChannels: readonly UnknownChannel[];
  /** NoMQ devices whose clock no rule accepts. */
  readonly unknownClocks: readonly UnknownClock[];
}

/** Who is asked for the health of a gateway. */
export interface HealthSources {
  readonly bridges: readonly Bridge[];
  attachments(): readonly AttachmentState[];
  nomq(): { readonly unknownChannels: readonly UnknownChannel[]; readonly unknownClocks: readonly UnknownClock[] };
}

/** The health now. */
export function healthOf(sources: HealthSources): Health {
  const bridges = Object.fromEntries(sources.bridges.map((bridge) => [bridge.name, bridge.status()]));
  const { unknownChannels, unknownClocks } = sources.nomq();
  return {
    live: true,
    // A remote that is away makes a bridge `reconnecting`; the gateway still serves everyone else.
    ready: Object.values(bridges).every(({ state }) => state !== "starting" && state !== "closed"),
    bridges,
    unclaimed: sources
      .attachments()
      .filter(({ state }) => state === "unclaimed")
      .map(({ name }) => name),
    unknownChannels,
    unknownClocks,
  };
}
