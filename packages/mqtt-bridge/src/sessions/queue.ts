import type { Body } from "./body.ts";
import { type Entry, type GivenEntry, type Home, packetOf, QueueEntry, type StoredEntry } from "./entry.ts";
import type { SessionJournal } from "./journal.ts";
import type { SessionEnd, SessionLedger } from "./ledger.ts";
import type { QueueBound, Room } from "./room.ts";
import type { QueuedPublish, QueuedPubrel } from "./session.ts";
import { unsealed } from "./stored-value.ts";

/** A session's messages at QoS 1 and 2, oldest first. */
export interface SessionQueue {
  /** `packet` is the message as this session gets it. */
  add(packet: QueuedPublish, body: Body): void;
  /** What was stored under the key; undefined when it is damaged, or the message is missing. */
  restore(
    key: Uint8Array,
    value: Uint8Array,
    stored: { order: number; bodyOf(number: number): Body | undefined },
  ): Entry | undefined;
  /** The message got its packet id and is being sent. False when it is no longer here. */
  assign(brokerCounter: number | undefined, messageId: number): boolean;
  /** PUBREC: the id stays, the message goes. */
  released(messageId: number): boolean;
  /** PUBACK or PUBCOMP: the message it was for. */
  clear(messageId: number, isRefused?: boolean): QueuedPublish | QueuedPubrel | undefined;
  /** The message will not be sent. */
  discard(brokerCounter: number | undefined, end: SessionEnd): void;
  /** A retained message sent at once under an id: its entry gets the id, or it gets an entry. */
  adopt(packet: QueuedPublish, messageId: number, bodyOf: () => Body): void;
  /** The first entry above the given order. */
  after(order: number): Entry | undefined;
  /** A packet id that no message here has: ids go on over connections, those in flight are not used again. */
  nextId(): number;
  /** All of it goes. */
  end(reason: string): void;
}

/** What a queue needs. */
export interface QueueOptions {
  readonly session: number;
  readonly journal: Pick<SessionJournal, "note">;
  readonly ledger: Pick<SessionLedger, "accept" | "settle">;
  /** For one session, without what has a packet id: that is bounded by the front. */
  readonly each: QueueBound;
  /** For all of them together, with what has a packet id. */
  readonly room: Pick<Room, "seat" | "make">;
  dropped(reason: string): void;
}

/**
 * Makes an empty queue. When it is full the oldest message that is not in flight goes; when all queues are, the oldest of
 * the fullest, or the newcomer where everything is in flight. `dropped` hears of it.
 */
export function createSessionQueue(options: QueueOptions): SessionQueue {
  const { journal, ledger } = options;
  const entries = new Map<number, Entry>();
  const home: Home = { session: options.session, entries };
  const byCounter = new Map<number, Entry>();
  const byId = new Map<number, Entry>();
  let lastOrder = 0;
  let lastId = 0;
  /** Without what has a packet id: their number, and bytes. */
  let waiting = 0;
  let bytes = 0;
  /** No entry below it waits without a packet id. */
  let first = 1;

  const weigh = (messages: number, size: number): void => {
    waiting += messages;
    bytes += size;
    seat.waits(waiting, bytes);
  };
  const remove = (entry: Entry, end: SessionEnd): void => {
    entry.isLeaving = false;
    entries.delete(entry.order);
    seat.left();
    if (entry.messageId === undefined) weigh(-1, -sizeOf(entry));
    if (entry.messageId !== undefined && byId.get(entry.messageId) === entry) byId.delete(entry.messageId);
    const counter = counterOf(entry);
    if (counter !== undefined) byCounter.delete(counter);
    if (entry.packet.cmd === "publish") entry.body?.release();
    ledger.settle(end);
    journal.note(entry.record);
  };
  /** An order is passed once: what has come by is on its way, or gone. */
  const dropOldest = (reason: string): boolean => {
    for (; first <= lastOrder; first += 1) {
      const entry = entries.get(first);
      if (entry === undefined || entry.messageId !== undefined) continue;
      remove(entry, { dropped: reason });
      options.dropped(reason);
      return true;
    }
    return false;
  };
  const seat = options.room.seat(() => void dropOldest("overflow"));
  const makeRoom = (body: Body): boolean => {
    const { messages: most, bytes: mostBytes } = options.each;
    while (waiting >= most || (waiting > 0 && bytes + body.bytes > mostBytes))
      if (!dropOldest("session-full")) break;
    return options.room.make(body);
  };
  const put = (given: GivenEntry, isWritten: boolean): Entry => {
    const entry = new QueueEntry(given, isWritten, home);
    if (entries.size === 0) first = entry.order;
    lastOrder = Math.max(lastOrder, entry.order);
    entries.set(entry.order, entry);
    seat.entered();
    if (entry.messageId === undefined) weigh(1, sizeOf(entry));
    const counter = counterOf(entry);
    if (counter !== undefined) byCounter.set(counter, entry);
    if (entry.messageId !== undefined) byId.set(entry.messageId, entry);
    if (entry.packet.cmd === "publish") entry.body?.hold();
    return entry;
  };
  const insert = (packet: QueuedPublish, body: Body): Entry | undefined => {
    const hasRoom = makeRoom(body);
    ledger.accept();
    if (!hasRoom) {
      ledger.settle({ dropped: "overflow" });
      options.dropped("overflow");
      return undefined;
    }
    const entry = put({ order: lastOrder + 1, packet, body, messageId: undefined, sent: false }, false);
    journal.note(entry.record);
    return entry;
  };
  const give = (entry: Entry, messageId: number): void => {
    if (entry.messageId === undefined) weigh(-1, -sizeOf(entry));
    entry.messageId = messageId;
    entry.sent = true;
    entry.isLeaving = false;
    byId.set(messageId, entry);
    journal.note(entry.record);
  };

  return {
    add: (packet, body) => void insert(packet, body),
    restore(key, value, { order, bodyOf }) {
      // The checksum vouches that this is what was written.
      const stored = unsealed(key, value)?.head as StoredEntry | undefined;
      if (stored === undefined) return undefined;
      const { messageId, sent = false } = stored;
      const body = stored.body === undefined ? undefined : bodyOf(stored.body);
      const packet = packetOf(stored, body);
      if (packet === undefined) return undefined;
      if (messageId !== undefined) lastId = messageId;
      return put({ order, packet, body, messageId, sent }, true);
    },
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
      if (entry.packet.cmd === "publish") entry.body?.release();
      entry.packet = { cmd: "pubrel", messageId };
      journal.note(entry.record);
      return true;
    },
    clear(messageId, isRefused = false) {
      const entry = byId.get(messageId);
      if (entry !== undefined) remove(entry, isRefused ? "refused" : "delivered");
      return entry?.packet;
    },
    discard(brokerCounter, end) {
      const entry = brokerCounter === undefined ? undefined : byCounter.get(brokerCounter);
      if (entry !== undefined) remove(entry, end);
    },
    adopt(packet, messageId, bodyOf) {
      const known = byId.get(messageId);
      if (known !== undefined && isSame(known.packet, packet)) return;
      for (const entry of entries.values()) {
        if (entry.messageId === undefined && isSame(entry.packet, packet)) {
          give(entry, messageId);
          return;
        }
      }
      const entry = insert(packet, bodyOf());
      if (entry !== undefined) give(entry, messageId);
    },
    after(order) {
      for (const entry of entries.values()) if (entry.order > order) return entry;
      return undefined;
    },
    nextId() {
      // Far fewer than there are ids: the front bounds what is in flight and what waits for it.
      for (let tried = 0; tried < 0xffff; tried += 1) {
        lastId = (lastId % 0xffff) + 1;
        if (!byId.has(lastId)) break;
      }
      return lastId;
    },
    end(reason) {
      for (const entry of [...entries.values()]) remove(entry, { dropped: reason });
    },
  };
}

function counterOf({ packet }: Entry): number | undefined {
  return packet.cmd === "publish" ? packet.brokerCounter : undefined;
}

function sizeOf({ packet, body }: Entry): number {
  return packet.cmd === "publish" && body !== undefined ? body.bytes : 0;
}

function isSame(one: QueuedPublish | QueuedPubrel, other: QueuedPublish): boolean {
  if (one.cmd !== "publish" || one.topic !== other.topic) return false;
  return Buffer.compare(Buffer.from(one.payload), Buffer.from(other.payload)) === 0;
}
