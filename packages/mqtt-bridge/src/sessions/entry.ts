import type { Body } from "./body.ts";
import type { JournalRecord } from "./journal.ts";
import type { QueuedPublish, QueuedPubrel } from "./session.ts";
import { entryKey } from "./stored-key.ts";
import { sealed } from "./stored-value.ts";

/** One place in a session's queue. */
export interface Entry {
  readonly order: number;
  packet: QueuedPublish | QueuedPubrel;
  readonly body: Body | undefined;
  messageId: number | undefined;
  /** Sent on some connection: DUP is set when it is sent again. */
  sent: boolean;
  /** Handed out to be sent, which has not happened yet. */
  isLeaving: boolean;
  /** What is stored of it. */
  readonly record: JournalRecord;
}

/** What is written of an entry; the message itself is its body's. */
export interface StoredEntry {
  readonly body?: number;
  readonly qos: 1 | 2;
  readonly retain?: true;
  readonly ids?: readonly number[];
  readonly messageId?: number;
  readonly sent?: true;
  /** PUBREC has come. */
  readonly released?: true;
}

/** A class, and its own record: there may be a million of them. */
export class QueueEntry implements Entry, JournalRecord {
  readonly order: number;
  packet: Entry["packet"];
  readonly body: Body | undefined;
  messageId: number | undefined;
  sent: boolean;
  isLeaving = false;
  isWritten: boolean;
  private readonly home: Home;

  constructor(given: GivenEntry, isWritten: boolean, home: Home) {
    this.order = given.order;
    this.packet = given.packet;
    this.body = given.body;
    this.messageId = given.messageId;
    this.sent = given.sent;
    this.isWritten = isWritten;
    this.home = home;
  }

  get record(): JournalRecord {
    return this;
  }

  get key(): Uint8Array {
    return entryKey(this.home.session, this.order);
  }

  value(): Uint8Array | undefined {
    return this.home.entries.get(this.order) === this ? sealed(this.key, storedOf(this)) : undefined;
  }
}

/** What an entry begins with. */
export type GivenEntry = Pick<Entry, "order" | "packet" | "body" | "messageId" | "sent">;

/** The queue that an entry is of. */
export interface Home {
  readonly session: number;
  readonly entries: ReadonlyMap<number, Entry>;
}

function storedOf({ packet, body, messageId, sent }: Entry): StoredEntry {
  if (packet.cmd === "pubrel") return { qos: 2, messageId: packet.messageId, sent: true, released: true };
  const ids = identifiersOf(packet);
  return {
    ...(body !== undefined && { body: body.number }),
    qos: packet.qos === 2 ? 2 : 1,
    ...(packet.retain && { retain: true }),
    ...(ids.length > 0 && { ids }),
    ...(messageId !== undefined && { messageId }),
    ...(sent && { sent }),
  };
}

/** The message as its session gets it, put together again. */
export function packetOf(
  stored: StoredEntry,
  body: Body | undefined,
): QueuedPublish | QueuedPubrel | undefined {
  const { qos, retain = false, ids = [], messageId } = stored;
  if (stored.released === true) return messageId === undefined ? undefined : { cmd: "pubrel", messageId };
  if (body === undefined) return undefined;
  const packet = { ...body.packet, qos, retain };
  if (ids.length > 0) packet.properties = { ...packet.properties, subscriptionIdentifier: [...ids] };
  return packet;
}

/** The parser of properties gives one where there is one. */
function identifiersOf({ properties }: QueuedPublish): readonly number[] {
  const given: unknown = properties?.subscriptionIdentifier;
  if (Array.isArray(given)) return given.filter((id): id is number => typeof id === "number");
  return typeof given === "number" ? [given] : [];
}
