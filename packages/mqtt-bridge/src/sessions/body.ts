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

/** Makes the place of messages; `messageExpiry` of their packets is in the clock's monotonic milliseconds. */
export function createBodies(use: {
  readonly journal: Pick<SessionJournal, "note">;
  readonly clock: Clock;
  readonly room: Pick<Room, "hold">;
  /** A number for aedes, by which it knows a message in this run. */
  nextCounter(): number;
}): Bodies {
  const { clock, journal } = use;
  const held = new Map<number, { readonly body: Body; readonly record: JournalRecord; holders: number }>();
  let last = 0;

  const add = ({ number, packet, message }: Given, isWritten: boolean): Body => {
    const key = bodyKey(number);
    const body: Body = {
      number,
      packet,
      message,
      bytes: bytesOf(packet),
      isHeld: () => one.holders > 0,
      hold() {
        if (one.holders === 0) {
          held.set(number, one);
          use.room.hold(body.bytes);
        }
        one.holders += 1;
        if (one.holders === 1 && !record.isWritten) journal.note(record);
      },
      release() {
        one.holders -= 1;
        if (one.holders > 0) return;
        held.delete(number);
        use.room.hold(-body.bytes);
        journal.note(record);
      },
    };
    const record: JournalRecord = {
      key,
      isWritten,
      value: () => (one.holders === 0 ? undefined : sealedBody(key, body, clock)),
    };
    const one = { body, record, holders: 0 };
    if (isWritten) held.set(number, one);
    return body;
  };

  return {
    make(packet, message) {
      last += 1;
      return add({ number: last, packet, message }, false);
    },
    restore(key, value, number) {
      last = Math.max(last, number);
      const stored = unsealed(key, value);
      if (stored === undefined) return undefined;
      // The checksum vouches that this is what was written.
      const { message, ...head } = stored.head as StoredBody;
      const packet = packetOf(head, stored.bytes, { clock, counter: use.nextCounter() });
      return add({ number, packet, message }, true);
    },
    sweep() {
      for (const [number, { holders, record }] of held) {
        if (holders > 0) continue;
        held.delete(number);
        journal.note(record);
      }
    },
    rebase() {
      for (const { body, record } of held.values())
        if (body.packet.messageExpiry !== undefined) journal.note(record);
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
