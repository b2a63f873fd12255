import { randomBytes } from "node:crypto";
import type { Principal } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import type { Verdict } from "../front/packets.ts";

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
  /** Unix milliseconds. */
  messageExpiry?: number;
  clientId?: string;
  messageId?: number;
}

/** A transfer at QoS 2 that has received PUBREC. */
export interface QueuedPubrel {
  readonly cmd: "pubrel";
  readonly messageId: number;
}

/** One place in a session's queue. */
export interface Entry {
  readonly order: number;
  packet: QueuedPublish | QueuedPubrel;
  messageId: number | undefined;
  /** Sent on some connection: DUP is set when it is sent again. */
  sent: boolean;
  /** Handed out to be sent, which has not happened yet. */
  isLeaving: boolean;
}

/** A QoS 2 publish of the client that PUBREL has not ended. */
export interface Transfer {
  verdict: Verdict | undefined;
  /** Connections that wait to answer it. */
  readonly waiting: Set<(verdict: Verdict) => void>;
}

/** What an MQTT session is (MQTT 5.0 section 4.1), besides its connection. */
export interface Session {
  readonly id: string;
  /** Names this session among others of the same client id. */
  readonly token: string;
  /** It outlives the connection. */
  persistent: boolean;
  /** Whose it is: nobody else may have it, and it is sent what this principal may have. Absent: anybody's. */
  owner: Principal | undefined;
  readonly subscriptions: Map<string, StoredSubscription>;
  readonly queue: SessionQueue;
  readonly transfers: Map<number, Transfer>;
}

/** Makes an empty session. */
export function createSession(id: string, dropped: (reason: string) => void): Session {
  return {
    id,
    token: randomBytes(8).toString("hex"),
    persistent: false,
    owner: undefined,
    subscriptions: new Map(),
    queue: createSessionQueue(dropped),
    transfers: new Map(),
  };
}

/** A session's messages at QoS 1 and 2, oldest first. */
export interface SessionQueue {
  add(packet: QueuedPublish): void;
  /** The message got its packet id and is being sent. False when it is no longer here. */
  assign(brokerCounter: number | undefined, messageId: number): boolean;
  /** PUBREC: the id stays, the message goes. */
  released(messageId: number): boolean;
  /** PUBACK or PUBCOMP: the message it was for. */
  clear(messageId: number): QueuedPublish | QueuedPubrel | undefined;
  /** The message will not be sent. */
  discard(brokerCounter: number | undefined): void;
  /** A retained message sent at once under an id: its entry gets the id, or it gets an entry. */
  adopt(packet: QueuedPublish, messageId: number): void;
  /** The first entry above the given order. */
  after(order: number): Entry | undefined;
  /** The packet id after the last one given: ids go on over connections, those in flight are not used again. */
  nextId(): number;
}

/** Without those that have a packet id: their number is bounded by the front. */
const MOST_MESSAGES = 10_000;
const MOST_BYTES = 64 * 1024 * 1024;

/** Makes an empty queue; when it is full the oldest message that is not in flight goes, which `dropped` hears of. */
function createSessionQueue(dropped: (reason: string) => void): SessionQueue {
  const entries = new Map<number, Entry>();
  const byCounter = new Map<number, Entry>();
  const byId = new Map<number, Entry>();
  let lastOrder = 0;
  let lastId = 0;
  let bytes = 0;

  const remove = (entry: Entry): void => {
    entry.isLeaving = false;
    entries.delete(entry.order);
    bytes -= sizeOf(entry.packet);
    if (entry.messageId !== undefined && byId.get(entry.messageId) === entry) byId.delete(entry.messageId);
    const counter = counterOf(entry);
    if (counter !== undefined) byCounter.delete(counter);
  };
  const makeRoom = (): void => {
    for (const entry of entries.values()) {
      if (entries.size - byId.size < MOST_MESSAGES && bytes <= MOST_BYTES) return;
      if (entry.messageId !== undefined) continue;
      remove(entry);
      dropped("session-full");
    }
  };
  const insert = (packet: QueuedPublish): Entry => {
    makeRoom();
    lastOrder += 1;
    const entry: Entry = { order: lastOrder, packet, messageId: undefined, sent: false, isLeaving: false };
    entries.set(entry.order, entry);
    bytes += sizeOf(packet);
    if (packet.brokerCounter !== undefined) byCounter.set(packet.brokerCounter, entry);
    return entry;
  };
  const give = (entry: Entry, messageId: number): void => {
    entry.messageId = messageId;
    lastId = messageId;
    entry.sent = true;
    entry.isLeaving = false;
    byId.set(messageId, entry);
  };

  return {
    add: (packet) => void insert(packet),
    assign(brokerCounter, messageId) {
      const entry = brokerCounter === undefined ? undefined : byCounter.get(brokerCounter);
      if (entry === undefined) return false;
      give(entry, messageId);
      return true;
    },
    released(messageId) {
      const entry = byId.get(messageId);
      if (entry === undefined) return false;
      entry.isLeaving = false;
      const counter = counterOf(entry);
      if (counter !== undefined) byCounter.delete(counter);
      bytes -= sizeOf(entry.packet);
      entry.packet = { cmd: "pubrel", messageId };
      return true;
    },
    clear(messageId) {
      const entry = byId.get(messageId);
      if (entry !== undefined) remove(entry);
      return entry?.packet;
    },
    discard(brokerCounter) {
      const entry = brokerCounter === undefined ? undefined : byCounter.get(brokerCounter);
      if (entry !== undefined) remove(entry);
    },
    adopt(packet, messageId) {
      const known = byId.get(messageId);
      if (known !== undefined && isSame(known.packet, packet)) return;
      for (const entry of entries.values()) {
        if (entry.messageId === undefined && isSame(entry.packet, packet)) {
          give(entry, messageId);
          return;
        }
      }
      give(insert(packet), messageId);
    },
    after(order) {
      for (const entry of entries.values()) if (entry.order > order) return entry;
      return undefined;
    },
    nextId: () => (lastId % 0xffff) + 1,
  };
}

function counterOf({ packet }: Entry): number | undefined {
  return packet.cmd === "publish" ? packet.brokerCounter : undefined;
}

function sizeOf(packet: QueuedPublish | QueuedPubrel): number {
  return packet.cmd === "publish" ? packet.topic.length + packet.payload.length : 0;
}

function isSame(one: QueuedPublish | QueuedPubrel, other: QueuedPublish): boolean {
  if (one.cmd !== "publish" || one.topic !== other.topic) return false;
  return Buffer.compare(Buffer.from(one.payload), Buffer.from(other.payload)) === 0;
}
