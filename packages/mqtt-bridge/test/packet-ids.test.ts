import type { StateChange } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createBodies } from "../src/sessions/body.ts";
import { drainQueue } from "../src/sessions/drain.ts";
import { createSessionJournal } from "../src/sessions/journal.ts";
import { createSessionQueue, type SessionQueue } from "../src/sessions/queue.ts";
import { createRoom } from "../src/sessions/room.ts";
import type { QueuedPublish } from "../src/sessions/session.ts";
import { KIND, numbersOf } from "../src/sessions/stored-key.ts";

const BOUND = { messages: 100_000, bytes: 2 ** 30 };

type Stored = readonly [key: Uint8Array, value: Uint8Array];

/** A session's queue over kills: what is in `disk` is all that a new process knows. */
interface Broker {
  readonly queue: SessionQueue;
  publish(text: string, qos: 1 | 2): QueuedPublish;
  /** All noted so far is on the disk. */
  store(): Promise<void>;
  readonly disk: Map<string, Stored>;
}

const clock = createFakeClock();

function openBroker(stored: ReadonlyMap<string, Stored>): Broker {
  const disk = new Map(stored);
  const remember = async (changes: readonly StateChange[]): Promise<void> => {
    for (const { key, value } of changes) {
      const name = Buffer.from(key).toString("hex");
      if (value === undefined) disk.delete(name);
      else disk.set(name, [key, value]);
    }
  };
  const journal = createSessionJournal(remember);
  let counter = 0;
  const nextCounter = (): number => {
    counter += 1;
    return counter;
  };
  const room = createRoom(BOUND);
  const bodies = createBodies({ room, journal, clock, nextCounter });
  const nothing = (): void => undefined;
  const queue = createSessionQueue({
    room,
    each: BOUND,
    ...{ session: 1, journal, dropped: nothing },
    ledger: { accept: nothing, settle: nothing },
  });
  const records = [...stored.values()].sort(([one], [other]) => Buffer.compare(one, other));
  const byNumber = new Map(
    records
      .filter(([key]) => key[0] === KIND.body)
      .map(([key, value]) => [numbersOf(key)[0], bodies.restore(key, value, numbersOf(key)[0])]),
  );
  for (const [key, value] of records.filter(([key]) => key[0] === KIND.entry)) {
    const [, order] = numbersOf(key);
    const restored = queue.restore(key, value, { order, bodyOf: (number) => byNumber.get(number) });
    expect(restored).toBeDefined();
  }
  return {
    disk,
    queue,
    publish(text, qos) {
      const packet = publishOf(text, { qos, brokerCounter: nextCounter() });
      queue.add(packet, bodies.make(packet, undefined));
      return packet;
    },
    store: async () => journal.stored(),
  };
}

function publishOf(text: string, more: { qos: 1 | 2; brokerCounter: number }): QueuedPublish {
  const payload = Buffer.from(text);
  return { cmd: "publish", topic: "t", payload, retain: false, dup: false, brokerId: "nomq", ...more };
}

/** A subscriber as MQTT 5.0 section 4.3 has it; it keeps its half of the session for ever. */
interface Subscriber {
  readonly incoming: Set<number>;
  readonly got: string[];
}

type Frame = { readonly cmd: "publish" | "pubrel"; readonly id: number; text: string; qos: number };

/** One connection: what was sent on it and has not been answered. */
interface Connection {
  readonly stored: AsyncIterator<{ readonly cmd: string; readonly messageId?: number }>;
  isDrained: boolean;
  isOver: boolean;
  readonly unanswered: Frame[];
}

class Run {
  broker = openBroker(new Map());
  connection = this.connect();
  readonly subscriber: Subscriber = { incoming: new Set(), got: [] };
  readonly promised: { readonly text: string; readonly qos: number }[] = [];
  count = 0;

  connect(): Connection {
    const made = { isDrained: false, isOver: false, unanswered: [] };
    const options = {
      room: async () => undefined,
      isOver: () => made.isOver,
      expired: () => undefined,
      drained: () => Object.assign(made, { isDrained: true }),
    };
    const stored = drainQueue(this.broker.queue, options, clock)[Symbol.asyncIterator]();
    return Object.assign(made, { stored });
  }

  /** The publisher is told only when it is stored. */
  async publish(qos: 1 | 2, isStored: boolean): Promise<void> {
    this.count += 1;
    const text = String(this.count);
    const packet = this.broker.publish(text, qos);
    if (isStored) {
      await this.broker.store();
      this.promised.push({ text, qos });
    }
    if (!this.connection.isDrained) return;
    const messageId = this.broker.queue.nextId();
    this.broker.queue.assign(packet.brokerCounter, messageId);
    await this.send({ cmd: "publish", id: messageId, text, qos });
  }

  /** The next stored one goes out, as aedes does it: the id is noted first. */
  async drain(): Promise<boolean> {
    const { stored, isDrained } = this.connection;
    if (isDrained) return false;
    const next = await stored.next();
    if (next.done === true) return false;
    // What a drain yields is one of the two.
    const packet = next.value as QueuedPublish | { cmd: "pubrel"; messageId: number };
    const id = packet.messageId ?? 0;
    if (packet.cmd === "pubrel") {
      this.broker.queue.released(id);
      await this.send({ cmd: "pubrel", id, text: "", qos: 2 });
    } else {
      this.broker.queue.assign(packet.brokerCounter, id);
      await this.send({ cmd: "publish", id, text: packet.payload.toString(), qos: packet.qos });
    }
    return true;
  }

  async send(frame: Frame): Promise<void> {
    const { unanswered } = this.connection;
    const other = unanswered.find(({ id, text }) => id === frame.id && text !== frame.text);
    if (frame.cmd === "publish") expect(other, "a packet id in flight is used again").toBeUndefined();
    if (frame.qos === 2) await this.broker.store();
    unanswered.push(frame);
  }

  /** The subscriber gets one of those that are under way, and the broker its answer. */
  async answer(at: number): Promise<void> {
    const { unanswered } = this.connection;
    const [frame] = unanswered.splice(at % Math.max(1, unanswered.length), 1);
    if (frame === undefined) return;
    const { cmd, id, text, qos } = frame;
    const { incoming, got } = this.subscriber;
    if (cmd === "pubrel") {
      incoming.delete(id);
      this.broker.queue.clear(id);
    } else if (qos === 1) {
      got.push(text);
      this.broker.queue.clear(id);
    } else {
      if (!incoming.has(id)) got.push(text);
      incoming.add(id);
      this.broker.queue.released(id);
      await this.send({ cmd: "pubrel", id, text: "", qos: 2 });
    }
  }

  /** The subscriber has them all, the broker hears of none. */
  cut(reaching: number): void {
    for (const { cmd, id, text, qos } of this.connection.unanswered.slice(0, reaching)) {
      const { incoming, got } = this.subscriber;
      if (cmd === "pubrel") incoming.delete(id);
      else {
        if (qos === 1 || !incoming.has(id)) got.push(text);
        if (qos === 2) incoming.add(id);
      }
    }
    this.connection.isOver = true;
    this.connection = this.connect();
  }

  kill(reaching: number): void {
    const { disk } = this.broker;
    this.cut(reaching);
    this.broker = openBroker(disk);
    this.connection = this.connect();
  }

  async end(): Promise<void> {
    this.cut(0);
    while (await this.drain()) await this.answer(0);
    while (this.connection.unanswered.length > 0) await this.answer(0);
    await this.broker.store();
  }
}

const step = fc.oneof(
  fc.record({
    ...{ do: fc.constant("publish" as const), qos: fc.constantFrom(1 as const, 2 as const) },
    isStored: fc.boolean(),
  }),
  fc.record({ do: fc.constant("drain" as const), many: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant("answer" as const), at: fc.nat(8) }),
  fc.record({ do: fc.constant("cut" as const), reaching: fc.nat(4) }),
  fc.record({ do: fc.constant("kill" as const), reaching: fc.nat(4) }),
);

async function take(run: Run, one: typeof step extends fc.Arbitrary<infer S> ? S : never): Promise<void> {
  if (one.do === "publish") await run.publish(one.qos, one.isStored);
  else if (one.do === "answer") await run.answer(one.at);
  else if (one.do === "cut") run.cut(one.reaching);
  else if (one.do === "kill") run.kill(one.reaching);
  else for (let left = one.many; left > 0 && (await run.drain()); left -= 1);
}

test("over cuts and kills every stored message arrives, QoS 2 once, and no id in flight is given again", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), async (steps) => {
      const run = new Run();
      for (const one of steps) await take(run, one);
      await run.end();
      const { got } = run.subscriber;
      for (const { text, qos } of run.promised) {
        const copies = got.filter((each) => each === text).length;
        expect(copies, `${text} at QoS ${qos}`).toBeGreaterThan(0);
        if (qos === 2) expect(copies, `${text} at QoS 2`).toBe(1);
      }
      const first = [...new Set(got)].map(Number);
      if (steps.every(({ do: what }) => what !== "answer"))
        expect(first).toEqual(first.toSorted((a, b) => a - b));
      expect(run.broker.disk.size).toBe(0);
    }),
    { seed: 7, numRuns: process.env["NOMQ_LONG"] ? 2_000 : 150 },
  );
});

test("ids go on past those in flight when they come round", async () => {
  const { queue, publish } = openBroker(new Map());
  const kept = publish("kept", 2);
  queue.assign(kept.brokerCounter, 3);
  const given = [queue.nextId(), queue.nextId(), queue.nextId()];
  expect(given).toEqual([1, 2, 4]);
  for (let at = 4; at < 0xffff; at += 1) queue.nextId();
  expect([queue.nextId(), queue.nextId(), queue.nextId()]).toEqual([1, 2, 4]);
});
