import type { SessionLog } from "@nomq/core";
import type { Arrival } from "./arrival.ts";
import type { Front } from "./front/front.ts";
import type { ListenerSettings } from "./options.ts";

/** What the session log hears of MQTT clients. */
export interface ClientRecords {
  connected(front: Front, arrival: Arrival): void;
  disconnected(front: Front, arrival: Arrival): void;
  refused(reason: string, address: string, listener: ListenerSettings): void;
  subscribed(front: Front, filter: string, qos: number): void;
  unsubscribed(front: Front, filter: string): void;
}

/** Makes the records over the given log. */
export function createClientRecords(log: SessionLog): ClientRecords {
  return {
    connected({ principal, connect, version }, { address, listener }) {
      const { clientId: client, clean } = connect;
      const session = clean === true ? "new" : "kept";
      const details = { client, address, listener: listener.url, version: VERSIONS[version], session };
      log.record({ who: principal, what: "client.connected", details });
    },
    disconnected({ principal, connect, endReason }, { address }) {
      const details = { client: connect.clientId, address, reason: endReason() };
      log.record({ who: principal, what: "client.disconnected", details });
    },
    refused(reason, address, { url }) {
      log.record({ who: "anonymous", what: "client.refused", details: { reason, address, listener: url } });
    },
    subscribed({ principal, connect }, filter, qos) {
      const details = { client: connect.clientId, filter, qos };
      log.record({ who: principal, what: "subscription.added", details });
    },
    unsubscribed({ principal, connect }, filter) {
      const details = { client: connect.clientId, filter };
      log.record({ who: principal, what: "subscription.removed", details });
    },
  };
}

/** MQTT's names of its protocol levels. */
const VERSIONS: Readonly<Record<Front["version"], string>> = { 3: "3.1", 4: "3.1.1", 5: "5.0" };
