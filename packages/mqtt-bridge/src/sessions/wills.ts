import type { CancelTimer, Clock, Principal } from "@nomq/core";
import type { IConnectPacket, IPublishPacket } from "mqtt-packet";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { JournalRecord, SessionJournal } from "./journal.ts";
import { runAt } from "./long-timer.ts";
import { willKey } from "./stored-key.ts";
import type { Stored, StoredState } from "./stored-state.ts";
import { sealed, unsealed } from "./stored-value.ts";

/** A will as aedes has it. */
export type Will = NonNullable<IConnectPacket["will"]> & Partial<Pick<IPublishPacket, "cmd" | "dup">>;

/** A will of an earlier run. */
export interface LeftWill {
  readonly clientId: string;
  readonly owner: Principal | undefined;
  readonly packet: Will;
}

/** The wills of connected clients, and of those whose Will Delay Interval runs (MQTT 5.0 section 3.1.3.2.2). */
export interface WillBook {
  /** The client is gone: its will is published now. */
  publish(client: AedesClient, will: Will): void;
  /** The client is gone: its will is published in so many seconds, unless it comes back. */
  schedule(client: AedesClient, will: Will, seconds: number): void;
  /** Begins with the wills of an earlier run: their clients are gone. */
  begin(): void;
  /** The wall clock was set. */
  rebase(): void;
  close(): void;
  /** What aedes calls. */
  readonly persistence: object;
}

/** What wills need. */
export interface WillOptions {
  readonly clock: Clock;
  readonly journal: Pick<SessionJournal, "note">;
  readonly stored: StoredState;
  ownerOf(client: AedesClient): Principal | undefined;
  /** Rejects when the will is to stay for the next start. */
  publish(will: LeftWill): Promise<void>;
  damaged(): void;
}

interface Kept {
  readonly clientId: string;
  readonly owner: Principal | undefined;
  readonly packet: Will;
  /** Seconds between the end of the connection and the will. */
  readonly delay: number;
  /** Milliseconds of the monotonic clock; undefined while the client is connected. */
  due: number | undefined;
  readonly record: JournalRecord;
  cancel: CancelTimer | undefined;
}

/** What is written of a will besides its payload. */
interface StoredWill {
  readonly clientId: string;
  readonly owner?: Principal;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties?: NonNullable<Will["properties"]>;
  readonly correlation?: string;
  readonly delay: number;
  /** Unix milliseconds. */
  readonly due?: number;
}

/** Makes the place of wills. */
export function createWillBook(options: WillOptions): WillBook {
  const { clock, journal } = options;
  const kept = new Map<string, Kept>();

  const forget = (clientId: string): void => {
    const one = kept.get(clientId);
    if (one === undefined) return;
    one.cancel?.();
    kept.delete(clientId);
    journal.note(one.record);
  };
  const keep = (given: Omit<Kept, "record" | "cancel">, isWritten: boolean): Kept => {
    forget(given.clientId);
    const key = willKey(given.clientId);
    const record: JournalRecord = {
      ...{ key, isWritten },
      value: () => (kept.get(one.clientId) === one ? sealedWill(key, one, clock) : undefined),
    };
    const one: Kept = { ...given, record, cancel: undefined };
    kept.set(one.clientId, one);
    return one;
  };
  const restore = ([key, value]: Stored): void => {
    const will = willFrom(key, value, clock);
    if (will === undefined) options.damaged();
    else keep(will, true);
  };
  for (const stored of options.stored.of("will")) restore(stored);

  const fire = (one: Kept): void => {
    one.cancel?.();
    options.publish(one).then(
      () => {
        if (kept.get(one.clientId) === one) forget(one.clientId);
      },
      // It stays for the next start.
      () => undefined,
    );
  };
  /** Whoever takes over a session has put its own will there already. */
  const recordOf = (client: AedesClient, will: Will): Kept | undefined => {
    const one = kept.get(client.id);
    return one?.packet === will ? one : undefined;
  };

  return {
    publish(client, will) {
      const one = recordOf(client, will);
      const plain = { clientId: client.id, owner: options.ownerOf(client), packet: will };
      if (one !== undefined) fire(one);
      else options.publish(plain).catch(() => undefined);
    },
    schedule(client, will, seconds) {
      const one = recordOf(client, will);
      if (one === undefined) return;
      one.cancel?.();
      one.due = clock.monotonic() + seconds * 1_000;
      one.cancel = runAt(clock, one.due, () => fire(one));
      journal.note(one.record);
    },
    begin() {
      for (const one of kept.values()) {
        one.due ??= clock.monotonic() + one.delay * 1_000;
        journal.note(one.record);
        one.cancel = runAt(clock, one.due, () => fire(one));
      }
    },
    rebase() {
      for (const one of kept.values()) if (one.due !== undefined) journal.note(one.record);
    },
    close() {
      for (const one of kept.values()) one.cancel?.();
    },
    persistence: {
      async putWill(client: AedesClient, will: Will): Promise<void> {
        Object.assign(will, { clientId: client.id });
        const delay = Math.min(will.properties?.willDelayInterval ?? 0, client.sessionExpiryInterval);
        const owner = options.ownerOf(client);
        journal.note(keep({ clientId: client.id, owner, packet: will, delay, due: undefined }, false).record);
      },
      getWill: async (): Promise<undefined> => undefined,
      delWill: async ({ id }: Pick<AedesClient, "id">): Promise<undefined> => {
        forget(id);
        return undefined;
      },
      // aedes would publish other brokers' wills by itself.
      async *streamWill(): AsyncGenerator<never> {},
    },
  };
}

function sealedWill(
  key: Uint8Array,
  { clientId, owner, packet, delay, due }: Kept,
  clock: Clock,
): Uint8Array {
  const { topic, payload, qos = 0, retain = false } = packet;
  const { correlationData, ...properties } = packet.properties ?? {};
  const head: StoredWill = {
    ...{ clientId, topic, qos, retain, properties, delay },
    ...(owner !== undefined && { owner }),
    ...(correlationData !== undefined && { correlation: correlationData.toString("base64") }),
    ...(due !== undefined && { due: clock.now() + due - clock.monotonic() }),
  };
  return sealed(key, head, typeof payload === "string" ? Buffer.from(payload) : payload);
}

function willFrom(
  key: Uint8Array,
  value: Uint8Array,
  clock: Clock,
): Omit<Kept, "record" | "cancel"> | undefined {
  const stored = unsealed(key, value);
  if (stored === undefined) return undefined;
  // The checksum vouches that this is what was written.
  const { clientId, owner, topic, qos, retain, delay, due, correlation, ...rest } = stored.head as StoredWill;
  const properties = {
    ...rest.properties,
    ...(correlation !== undefined && { correlationData: Buffer.from(correlation, "base64") }),
  };
  return {
    ...{ clientId, owner, delay },
    packet: { cmd: "publish", topic, payload: stored.bytes, qos, retain, dup: false, properties },
    due: due === undefined ? undefined : clock.monotonic() + due - clock.now(),
  };
}
