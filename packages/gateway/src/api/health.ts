import type { AttachmentState, Bridge, BridgeStatus, NomqBridgeCounts } from "@nomq/core";
import type { MqttCounts } from "@nomq/mqtt-bridge";

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
  /** The MQTT side: clients refused, messages refused and dropped, connections cut, by reason. Absent without listeners. */
  readonly mqtt?: MqttCounts;
}

/** Who is asked for the health of a gateway. */
export interface HealthSources {
  readonly bridges: readonly Bridge[];
  attachments(): readonly AttachmentState[];
  nomq(): NomqBridgeCounts | undefined;
  mqtt(): MqttCounts | undefined;
}

/** The health now. */
export function healthOf(sources: HealthSources): Health {
  const bridges = Object.fromEntries(sources.bridges.map((bridge) => [bridge.name, bridge.status()]));
  const nomq = sources.nomq();
  const mqtt = sources.mqtt();
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
    ...(mqtt === undefined ? {} : { mqtt }),
  };
}
