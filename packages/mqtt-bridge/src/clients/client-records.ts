import { plainAddress, type RefusedClient, type SessionLog } from "@nomq/core";
import type { Front } from "../front/front.ts";
import type { Arrival } from "../listen/arrival.ts";

/** What the session log hears of MQTT clients. */
export interface ClientRecords {
  connected(front: Front, arrival: Arrival): void;
  disconnected(front: Front, arrival: Arrival): void;
  /** It takes nothing, or does again. */
  slowed(front: Front, arrival: Arrival, reason: string): void;
  recovered(front: Front, arrival: Arrival): void;
  refused(reason: string, client: RefusedClient): void;
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
    slowed({ principal, connect }, { address }, reason) {
      const details = { client: connect.clientId, address, reason };
      log.record({ who: principal, what: "client.slowed", details });
    },
    recovered({ principal, connect }, { address }) {
      log.record({
        who: principal,
        what: "client.recovered",
        details: { client: connect.clientId, address },
      });
    },
    refused(reason, { address, listener, who }) {
      const what = reason === "credentials" || reason === "throttled" ? "login.refused" : "client.refused";
      const details = { reason, address, listener: listener.url };
      log.record({ who: who ?? `addr:${plainAddress(address)}`, what, details });
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
