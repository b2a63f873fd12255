import { randomBytes } from "node:crypto";
import type { Principal } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import type { Verdict } from "../front/packets.ts";
import type { JournalRecord } from "./journal.ts";
import type { QueueOptions, SessionQueue } from "./queue.ts";
import { createSessionQueue } from "./queue.ts";

/** A subscription of a session, as aedes gives and takes it. */
export interface StoredSubscription {
  readonly clientId: string;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly rh?: number | undefined;
  readonly rap?: boolean | undefined;
  readonly nl?: boolean | undefined;
  readonly subscriptionIdentifier?: number | undefined;
}

/** A message that waits for a session, or whose acknowledgement does. */
export interface QueuedPublish extends Omit<IPublishPacket, "cmd" | "length"> {
  cmd: "publish";
  brokerId?: string | null;
  brokerCounter?: number;
  /** Milliseconds of the hub's monotonic clock. */
  messageExpiry?: number;
  clientId?: string;
  messageId?: number;
}

/** A transfer at QoS 2 that has received PUBREC. */
export interface QueuedPubrel {
  readonly cmd: "pubrel";
  readonly messageId: number;
}

/** A QoS 2 publish of the client that PUBREL has not ended. */
export interface Transfer {
  verdict: Verdict | undefined;
  /** The hub's name of the message, after a restart: with `ack: delivered` it was not known then whether everyone has it. */
  message?: string | undefined;
  /** Connections that wait to answer it. */
  readonly waiting: Set<(verdict: Verdict) => void>;
  record: JournalRecord | undefined;
}

/** What an MQTT session is (MQTT 5.0 section 4.1), besides its connection. */
export interface Session {
  readonly id: string;
  /** Its number in what is stored. */
  readonly number: number;
  /** Names this session among others of the same client id. */
  readonly token: string;
  /** It outlives the connection, and the process. */
  persistent: boolean;
  /** Whose it is: nobody else may have it, and it is sent what this principal may have. Absent: anybody's. */
  owner: Principal | undefined;
  /** Seconds it outlives its connection by (MQTT 5.0 section 3.1.2.11.2); infinite: for ever. */
  expiry: number;
  /** When it ends, in milliseconds of the hub's monotonic clock; undefined while connected. */
  until: number | undefined;
  /** What is stored of it. */
  record: JournalRecord | undefined;
  readonly subscriptions: Map<string, StoredSubscription>;
  /** What is stored of them. */
  readonly subscriptionRecords: Map<string, JournalRecord>;
  readonly queue: SessionQueue;
  readonly transfers: Map<number, Transfer>;
  /** The hub's names of messages that an earlier run has stored for it. */
  readonly restored: Set<string>;
}

/** Makes an empty session. */
export function createSession(
  id: string,
  options: Omit<QueueOptions, "session"> & { readonly number: number; readonly token?: string },
): Session {
  const { number, token = randomBytes(8).toString("hex") } = options;
  return {
    ...{ id, number, token },
    persistent: false,
    owner: undefined,
    expiry: 0,
    until: undefined,
    record: undefined,
    subscriptions: new Map(),
    subscriptionRecords: new Map(),
    queue: createSessionQueue({ ...options, session: number }),
    transfers: new Map(),
    restored: new Set(),
  };
}
