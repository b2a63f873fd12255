import type { CoapCounts } from "@nomq/coap-bridge";
import type { AttachmentState, BridgeStatus, DevicePresence, LedgerRow, NomqBridgeCounts } from "@nomq/core";
import type { MqttCounts, SlowClient } from "@nomq/mqtt-bridge";
import type { XmppCounts } from "@nomq/xmpp-bridge";
import type { StoreHealth } from "../api/health.ts";
import type { HttpCounts } from "../http/http-counts.ts";
import type { ProcessFacts } from "./process-facts.ts";

/** Everything that metrics are read from, at one moment. */
export interface Facts {
  readonly version: string;
  /** Unix milliseconds. */
  readonly now: number;
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, BridgeStatus>>;
  readonly attachments: readonly AttachmentState[];
  /** What became of messages at streams that have ended. */
  readonly streamsEnded: LedgerRow;
  readonly nomq: NomqBridgeCounts | undefined;
  readonly mqtt: MqttCounts | undefined;
  readonly coap: CoapCounts | undefined;
  readonly xmpp: XmppCounts | undefined;
  /** NoMQ peers with an attachment. */
  readonly devices: readonly DevicePresence[];
  /** MQTT clients that take nothing. */
  readonly slowClients: readonly SlowClient[];
  readonly http: HttpCounts;
  readonly store: StoreHealth;
  readonly process: ProcessFacts;
}
