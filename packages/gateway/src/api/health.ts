import type {
  AttachmentState,
  Bridge,
  BridgeStatus,
  Clock,
  NomqBridgeCounts,
  StoreProgress,
} from "@nomq/core";
import type { MqttCounts, SlowClient } from "@nomq/mqtt-bridge";
import type { DurableStore } from "../store/index.ts";

/** How the store does. `failing`: the same commit has been open for long. */
export interface StoreHealth {
  readonly state: "memory" | "ready" | "full" | "failing";
  /** Values found damaged and put aside since the start. */
  readonly damaged: number;
  /** Publishes and changes that wait for a commit. */
  readonly waiting: number;
  /** Since when the same commit is open, Unix milliseconds. */
  readonly stillSince?: number;
}

/** An attachment that may get messages and takes none. */
export interface Still {
  readonly attachment: string;
  /** Of the embedded broker: which of its clients. */
  readonly client?: string;
  /** Unix milliseconds. */
  readonly since: number;
  /** Messages that wait. */
  readonly pending: number;
}

/** What `GET /healthz` answers. */
export interface Health {
  /** The process answers. */
  readonly live: boolean;
  /** Every bridge does its work, if only in part; the answer is 503 otherwise. */
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, BridgeStatus>>;
  /** Durable attachments of an earlier run that nobody has claimed. */
  readonly unclaimed: readonly string[];
  /** Peers that are connected, have had messages waiting for a minute (MQTT clients: for ten seconds) and take none. */
  readonly still: readonly Still[];
  readonly store: StoreHealth;
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
  slowClients(): readonly SlowClient[];
  storeProgress(): StoreProgress;
  /** Undefined: the store is in memory. */
  readonly store: Pick<DurableStore, "isFull" | "damaged"> | undefined;
  readonly clock: Clock;
}

/** A peer that takes nothing for so long is stuck, not slow: NoMQ's retries and MQTT's keep-alive end before. */
const STILL_MS = 60_000;

/** The health now. */
export function healthOf(sources: HealthSources): Health {
  const attachments = sources.attachments();
  const still = stillOf(attachments, sources.clock.now());
  const bridges = bridgesOf(sources.bridges, still);
  const nomq = sources.nomq();
  const mqtt = sources.mqtt();
  return {
    live: true,
    // A remote that is away makes a bridge `reconnecting`; the gateway still serves everyone else.
    ready: Object.values(bridges).every(({ state }) => state !== "starting" && state !== "closed"),
    bridges,
    unclaimed: attachments.filter(({ state }) => state === "unclaimed").map(({ name }) => name),
    still: [...still, ...sources.slowClients().map(stillClient)],
    store: storeHealthOf(sources),
    ...(nomq === undefined ? {} : { nomq }),
    ...(mqtt === undefined ? {} : { mqtt }),
  };
}

function stillOf(attachments: readonly AttachmentState[], now: number): readonly Still[] {
  return attachments.flatMap(({ name, progress: { stillSince }, ledger: { pending } }) =>
    stillSince === undefined || now - stillSince < STILL_MS
      ? []
      : [{ attachment: name, since: stillSince, pending }],
  );
}

/** One client that takes nothing does not make the broker that serves all others degraded. */
const stillClient = ({ client, since, waiting }: SlowClient): Still => ({
  attachment: "mqtt:broker",
  client,
  since,
  pending: waiting,
});

/** A bridge that says it is well while messages to one of its peers do not move is degraded. */
function bridgesOf(
  bridges: readonly Bridge[],
  still: readonly Still[],
): Readonly<Record<string, BridgeStatus>> {
  return Object.fromEntries(
    bridges.map((bridge) => {
      const status = bridge.status();
      const stuck = still.find(({ attachment }) => attachment.startsWith(`${bridge.name}:`));
      if (stuck === undefined || status.state !== "ready") return [bridge.name, status];
      const { attachment, since } = stuck;
      const reason = `${attachment} takes none of the messages that wait for it`;
      return [bridge.name, { state: "degraded", reason, since }];
    }),
  );
}

function storeHealthOf({ store, storeProgress, clock }: HealthSources): StoreHealth {
  const { waiting, stillSince } = storeProgress();
  const isStill = stillSince !== undefined && clock.now() - stillSince >= STILL_COMMIT_MS;
  const well = store === undefined ? "memory" : "ready";
  return {
    state: store?.isFull === true ? "full" : isStill ? "failing" : well,
    damaged: store?.damaged ?? 0,
    waiting,
    ...(stillSince === undefined ? {} : { stillSince }),
  };
}

/** A commit takes milliseconds. */
const STILL_COMMIT_MS = 10_000;
