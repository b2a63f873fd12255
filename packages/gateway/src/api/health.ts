import type { CoapBridge } from "@nomq/coap-bridge";
import type {
  AttachmentState,
  Bridge,
  BridgeStatus,
  Clock,
  NomqBridge,
  NomqBridgeCounts,
  StoreProgress,
} from "@nomq/core";
import type { MqttBridge, MqttCounts } from "@nomq/mqtt-bridge";
import type { XmppBridge, XmppCounts } from "@nomq/xmpp-bridge";
import type { DurableStore } from "../store/index.ts";
import { type CoapHealth, coapHealthOf, withSensors } from "./coap-health.ts";
import { namedStill, type Still, stillPeers, withStill } from "./still.ts";

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

/** What `GET /healthz` answers. */
export interface Health {
  /** The process answers. */
  readonly live: boolean;
  /** Every bridge does its work, if only in part; the answer is 503 otherwise. */
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, BridgeStatus>>;
  /** Durable attachments of an earlier run that nobody has claimed. */
  readonly unclaimed: readonly string[];
  /** Peers that are connected, have messages waiting, and take none; those for longest first, at most 100. */
  readonly still: readonly Still[];
  /** How many there are. */
  readonly stillCount: number;
  readonly store: StoreHealth;
  /**
   * The NoMQ side: datagrams rejected and messages refused by reason, channels that arrived as a hash nobody knows
   * a name for, devices whose clock no rule accepts. Absent without NoMQ listeners.
   */
  readonly nomq?: NomqBridgeCounts;
  /** The MQTT side: clients refused, messages refused and dropped, connections cut, by reason. Absent without listeners. */
  readonly mqtt?: MqttCounts;
  /** The CoAP side, and the sensors that are not fresh. Absent where the section asks for nothing. */
  readonly coap?: CoapHealth;
  /** The XMPP side: its connection, what it published, received and refused, its nodes. Absent without the section. */
  readonly xmpp?: XmppCounts;
}

/** Who is asked for the health of a gateway. */
export interface HealthSources {
  readonly bridges: readonly Bridge[];
  attachments(): readonly AttachmentState[];
  nomq(): Pick<NomqBridge, "counts" | "devices"> | undefined;
  mqtt(): Pick<MqttBridge, "counts" | "slowClients"> | undefined;
  coap(): Pick<CoapBridge, "name" | "counts" | "sensors"> | undefined;
  xmpp(): Pick<XmppBridge, "counts"> | undefined;
  storeProgress(): StoreProgress;
  /** False while the gateway starts, when not every bridge is there yet, and while it stops. */
  isOpen(): boolean;
  /** Undefined: the store is in memory. */
  readonly store: Pick<DurableStore, "isFull" | "isGone" | "damaged"> | undefined;
  readonly clock: Clock;
}

/** The health now. */
export function healthOf(sources: HealthSources): Health {
  const attachments = sources.attachments();
  const still = stillPeers({
    attachments,
    devices: sources.nomq()?.devices() ?? [],
    slowClients: sources.mqtt()?.slowClients() ?? [],
    now: sources.clock.now(),
  });
  const speaker = sources.coap();
  const coap = speaker && coapHealthOf(speaker);
  const statusOf = (bridge: Bridge): BridgeStatus => {
    const status = withStill(bridge.name, bridge.status(), still);
    return bridge.name === speaker?.name ? withSensors(status, speaker.sensors()) : status;
  };
  const bridges = Object.fromEntries(sources.bridges.map((bridge) => [bridge.name, statusOf(bridge)]));
  const nomq = sources.nomq()?.counts();
  const mqtt = sources.mqtt()?.counts();
  const xmpp = sources.xmpp()?.counts();
  return {
    live: true,
    // A remote that is away makes a bridge `reconnecting`; the gateway still serves everyone else.
    ready:
      sources.isOpen() &&
      Object.values(bridges).every(({ state }) => state !== "starting" && state !== "closed"),
    bridges,
    unclaimed: attachments.filter(({ state }) => state === "unclaimed").map(({ name }) => name),
    still: namedStill(still),
    stillCount: still.length,
    store: storeHealthOf(sources),
    ...(nomq === undefined ? {} : { nomq }),
    ...(mqtt === undefined ? {} : { mqtt }),
    ...(coap === undefined ? {} : { coap }),
    ...(xmpp === undefined ? {} : { xmpp }),
  };
}

function storeHealthOf({ store, storeProgress, clock }: HealthSources): StoreHealth {
  const { waiting, stillSince } = storeProgress();
  const isStill = stillSince !== undefined && clock.now() - stillSince >= STILL_COMMIT_MS;
  const well = store === undefined ? "memory" : "ready";
  return {
    state: store?.isFull === true ? "full" : isStill || store?.isGone === true ? "failing" : well,
    damaged: store?.damaged ?? 0,
    waiting,
    ...(stillSince === undefined ? {} : { stillSince }),
  };
}

/** A commit takes milliseconds. */
const STILL_COMMIT_MS = 10_000;
