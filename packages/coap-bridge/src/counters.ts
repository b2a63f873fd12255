import { createTally, type MappingLoss, type Tally } from "@nomq/core";
import type { BlockCounts } from "./blocks/server-blocks.ts";
import type { ClientCounts } from "./client/counters.ts";
import type { MessagingCounts } from "./messaging/messaging.ts";
import type { ObserveCounts } from "./observe/counts.ts";

/** Sums by reason since the bridge was made. */
export interface CoapSums {
  /** Clients turned away with 4.01: `anonymous`. */
  readonly clientsRefused: Readonly<Record<string, number>>;
  /** PUT, POST and DELETE that were not done: `access`, `channel-invalid`, `precondition`, `query-invalid`, … */
  readonly messagesRefused: Readonly<Record<string, number>>;
  /** GET that was not answered with a value: `access`, `channel-invalid`, … A channel without a value is no refusal. */
  readonly readsRefused: Readonly<Record<string, number>>;
  /** Requests that failed in a way nobody foresaw: 5.00. The log says how. */
  readonly failures: Readonly<Record<string, number>>;
}

/** What `/healthz` and metrics show of the CoAP side. */
export interface CoapCounts extends CoapSums {
  /** What CoAP did not carry of messages, from whom (docs/mapping.md). */
  readonly lost: readonly MappingLoss[];
  /** Absent while nothing listens. */
  readonly messaging?: MessagingCounts;
  readonly blocks?: BlockCounts;
  readonly observers?: ObserveCounts;
  readonly client: ClientCounts;
}

/** Counts; reasons are a fixed set of words, so the sums stay few. */
export interface Counters {
  add(kind: keyof CoapSums, reason: string): void;
  read(): CoapSums;
}

/** Makes counters that stand at nothing. */
export function createCounters(): Counters {
  const sums: Record<keyof CoapSums, Tally> = {
    clientsRefused: createTally(),
    messagesRefused: createTally(),
    readsRefused: createTally(),
    failures: createTally(),
  };
  return {
    add(kind, reason) {
      // `outbox-full: NAME` is one reason, whoever it was.
      const [word = reason] = reason.split(":", 1);
      sums[kind].add(word);
    },
    read: () => ({
      clientsRefused: sums.clientsRefused.read(),
      messagesRefused: sums.messagesRefused.read(),
      readsRefused: sums.readsRefused.read(),
      failures: sums.failures.read(),
    }),
  };
}
