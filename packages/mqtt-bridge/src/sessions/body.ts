import type { Clock } from "@nomq/core";
import type { JournalRecord, SessionJournal } from "./journal.ts";
import type { Room } from "./room.ts";
import type { QueuedPublish } from "./session.ts";
import { bytesOf } from "./size.ts";
import { bodyKey } from "./stored-key.ts";
import { sealed, unsealed } from "./stored-value.ts";

/** A message in the queues of any number of sessions: kept once. */
export interface Body {
  readonly number: number;
  readonly packet: QueuedPublish;
  /** The hub's name of the message. */
  readonly message: string | undefined;
  /** What it takes of the room. */
  readonly bytes: number;
  isHeld(): boolean;
  /** One queue more, or one less, has it. */
  hold(): void;
  release(): void;
}

/** All messages in queues. */
export interface Bodies {
  make(packet: QueuedPublish, message: string | undefined): Body;
  /** What was stored under the key; undefined when it is damaged. Nobody holds it yet. */
  restore(key: Uint8Array, value: Uint8Array, number: number): Body | undefined;
  /** Those that nobody holds go: to be called when all queues are restored. */
  sweep(): void;
  /** The wall clock was set: what is stored of expiry is out of date. */
  rebase(): void;
}

type Given = Pick<Body, "number" | "packet" | "message">;
type Properties = NonNullable<QueuedPublish["properties"]>;

/** What is written of a message besides its payload. */
interface StoredBody {
  readonly topic: string;
  readonly message?: string;
  /** Unix milliseconds. */
  readonly expiresAt?: number;
  readonly properties?: Properties;
  /** Correlation data, in base64. */
  readonly correlation?: string;
}

/** What bodies share. */
interface Place {
  readonly held: Map<number, KeptBody>;
  readonly journal: Pick<SessionJournal, "note">;
  readonly clock: Clock;
  readonly room: Pick<Room, "hold">;
}

/** A class, and its own record: there may be a million of them. */
class KeptBody implements Body, JournalRecord {
  readonly number: number;
  readonly packet: QueuedPublish;
  readonly message: string | undefined;
  readonly bytes: number;
  isWritten: boolean;
  private readonly place: Place;
  private holders = 0;

  constructor({ number, packet, message }: Given, isWritten: boolean, place: Place) {
    this.number = number;
    this.packet = packet;
    this.message = message;
    this.bytes = bytesOf(packet);
    this.isWritten = isWritten;
    this.place = place;
  }

  get key(): Uint8Array {
    return bodyKey(this.number);
  }

  value(): Uint8Array | undefined {
    return this.holders === 0 ? undefined : sealedBody(this.key, this, this.place.clock);
  }

  isHeld(): boolean {
    return this.holders > 0;
  }

  hold(): void {
    this.holders += 1;
    if (this.holders > 1) return;
    this.place.held.set(this.number, this);
    this.place.room.hold(this.bytes);
    if (!this.isWritten) this.place.journal.note(this);
  }

  release(): void {
    this.holders -= 1;
    if (this.holders > 0) return;
    this.place.held.delete(this.number);
    this.place.room.hold(-this.bytes);
    this.place.journal.note(this);
  }
}

/** Makes the place of messages; `messageExpiry` of their packets is in the clock's monotonic milliseconds. */
export function createBodies(use: {
  readonly journal: Pick<SessionJournal, "note">;
  readonly clock: Clock;
  readonly room: Pick<Room, "hold">;
  /** A number for aedes, by which it knows a message in this run. */
  nextCounter(): number;
}): Bodies {
  const { clock, journal } = use;
  const held = new Map<number, KeptBody>();
  const place: Place = { held, journal, clock, room: use.room };
  let last = 0;

  return {
    make(packet, message) {
      last += 1;
      return new KeptBody({ number: last, packet, message }, false, place);
    },
    restore(key, value, number) {
      last = Math.max(last, number);
      const stored = unsealed(key, value);
      if (stored === undefined) return undefined;
      // The checksum vouches that this is what was written.
      const { message, ...head } = stored.head as StoredBody;
      const packet = packetOf(head, stored.bytes, { clock, counter: use.nextCounter() });
      const body = new KeptBody({ number, packet, message }, true, place);
      held.set(number, body);
      return body;
    },
    sweep() {
      for (const body of held.values()) {
        if (body.isHeld()) continue;
        held.delete(body.number);
        journal.note(body);
      }
    },
    rebase() {
      for (const body of held.values()) if (body.packet.messageExpiry !== undefined) journal.note(body);
    },
  };
}

function sealedBody(key: Uint8Array, { packet, message }: Body, clock: Clock): Uint8Array {
  const { topic, payload, messageExpiry } = packet;
  const { correlationData, messageExpiryInterval: _, ...properties } = packet.properties ?? {};
  const head: StoredBody = {
    topic,
    ...(message !== undefined && { message }),
    ...(messageExpiry !== undefined && { expiresAt: clock.now() + messageExpiry - clock.monotonic() }),
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(correlationData !== undefined && { correlation: correlationData.toString("base64") }),
  };
  return sealed(key, head, typeof payload === "string" ? Buffer.from(payload) : payload);
}

function packetOf(
  { topic, expiresAt, properties, correlation }: StoredBody,
  payload: Buffer,
  { clock, counter }: { readonly clock: Clock; readonly counter: number },
): QueuedPublish {
  const packet: QueuedPublish = {
    cmd: "publish",
    topic,
    payload,
    qos: 2,
    retain: false,
    dup: false,
    brokerId: "nomq",
    brokerCounter: counter,
  };
  if (properties !== undefined || correlation !== undefined) packet.properties = { ...properties };
  if (packet.properties !== undefined && correlation !== undefined)
    packet.properties.correlationData = Buffer.from(correlation, "base64");
  if (expiresAt !== undefined) packet.messageExpiry = clock.monotonic() + expiresAt - clock.now();
  return packet;
}
