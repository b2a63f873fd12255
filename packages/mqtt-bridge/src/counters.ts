import { createTally, type MappingLoss, type Tally } from "@nomq/core";
import type { SessionLedgerRow } from "./sessions/ledger.ts";

/** Sums by reason since the bridge was made. */
export interface MqttSums {
  /** Connections turned away: `anonymous`, `origin-foreign`, `host-not-ours`, `connect-malformed`, … */
  readonly clientsRefused: Readonly<Record<string, number>>;
  /** Messages from clients that were refused: `channel-invalid`, `access`, `outbox-full`, … */
  readonly messagesRefused: Readonly<Record<string, number>>;
  /** Messages to clients that were dropped: `slow-reader`, `too-large`, `session-full`, `expired`. */
  readonly messagesDropped: Readonly<Record<string, number>>;
  /** Connections the broker ended: `stalled`, `overflow`, `receive-maximum`, `malformed`, `failure`, … */
  readonly connectionsCut: Readonly<Record<string, number>>;
}

/** What `/healthz` and metrics show of the MQTT side. */
export interface MqttCounts extends MqttSums {
  /** What MQTT 3.1.1 clients did not get of messages, from whom (docs/mapping.md). */
  readonly lost: readonly MappingLoss[];
  /** Clients that are connected and take nothing, now. */
  readonly slowClients: number;
  /** What became of messages at QoS 1 and 2 to sessions that outlive their connection, over restarts. */
  readonly sessions: SessionLedgerRow;
}

/** Counts; reasons are a fixed set of words, so the sums stay few. */
export interface Counters {
  add(kind: keyof MqttSums, reason: string, count?: number): void;
  read(): MqttSums;
}

/** Makes counters that stand at nothing. */
export function createCounters(): Counters {
  const sums: Record<keyof MqttSums, Tally> = {
    clientsRefused: createTally(),
    messagesRefused: createTally(),
    messagesDropped: createTally(),
    connectionsCut: createTally(),
  };
  return {
    add(kind, reason, count = 1) {
      sums[kind].add(reason, count);
    },
    read: () => ({
      clientsRefused: sums.clientsRefused.read(),
      messagesRefused: sums.messagesRefused.read(),
      messagesDropped: sums.messagesDropped.read(),
      connectionsCut: sums.connectionsCut.read(),
    }),
  };
}
