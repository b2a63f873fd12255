import type { StateChange } from "@nomq/core";
import { filterMatches } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sessionBounds } from "../src/session-limits.ts";
import { createSessionJournal } from "../src/sessions/journal.ts";
import type { QueuedPublish } from "../src/sessions/session.ts";
import { createSessionStore, type SessionStore } from "../src/sessions/session-store.ts";
import { readState } from "../src/sessions/stored-state.ts";
import { createWillBook } from "../src/sessions/wills.ts";

/** What aedes calls, as far as it is asked here. */
interface Persistence {
  addSubscriptions(client: object, subscriptions: readonly object[]): Promise<void>;
  removeSubscriptions(client: object, filters: readonly string[]): Promise<void>;
  cleanSubscriptions(client: object): Promise<void>;
  subscriptionsByClient(client: object): Promise<{ topic: string }[]>;
  subscriptionsByTopic(topic: string): PromiseLike<object[]>;
  outgoingEnqueueCombi(subscriptions: readonly object[], packet: object): PromiseLike<void>;
  outgoingUpdate(client: object, packet: object): Promise<void>;
  outgoingClearMessageId(client: object, packet: object): Promise<unknown>;
  incomingStorePacket(client: object, packet: object): Promise<void>;
  incomingGetPacket(client: object, packet: object): Promise<object>;
  incomingDelPacket(client: object, packet: object): Promise<void>;
}

/** A store on what was remembered, which can be made again. */
interface Room {
  store: SessionStore;
  readonly persistence: Persistence;
  /** All is written, and a new process reads it. */
  restart(): Promise<void>;
}

async function openRoom(): Promise<Room> {
  const clock = createFakeClock();
  const remembered = new Map<string, readonly [Uint8Array, Uint8Array]>();
  const remember = async (changes: readonly StateChange[]): Promise<void> => {
    for (const { key, value } of changes) {
      const name = Buffer.from(key).toString("hex");
      if (value === undefined) remembered.delete(name);
      else remembered.set(name, [key, value]);
    }
  };
  const nothing = (): undefined => undefined;
  const open = async () => {
    async function* records() {
      yield* remembered.values();
    }
    const stored = await readState(records());
    const journal = createSessionJournal(remember);
    const wills = createWillBook({
      ...{ clock, journal, stored, ownerOf: nothing, damaged: nothing },
      publish: async () => undefined,
    });
    const store = createSessionStore({
      ...{ clock, journal, stored, wills, restored: ({ damaged }) => expect(damaged).toBe(0) },
      retained: async function* () {},
      ...{ repeated: nothing, transferEnded: nothing, ended: nothing, dropped: nothing },
      ...{ isRefused: () => false, may: () => true, bounds: sessionBounds() },
      connection: () => ({
        room: async () => undefined,
        isOver: () => false,
        expired: nothing,
        drained: nothing,
      }),
    });
    await store.restore();
    return { store, journal };
  };
  let { store, journal } = await open();
  const room: Room = {
    store,
    get persistence() {
      // The store's interface leaves open what aedes calls.
      return room.store.persistence as Persistence;
    },
    async restart() {
      await journal.stored();
      store.close();
      ({ store, journal } = await open());
      room.store = store;
    },
  };
  return room;
}

/** The plainest sessions there can be. */
interface Model {
  readonly subscriptions: Map<string, { topic: string; qos: 0 | 1 | 2; nl: boolean; rap: boolean }>;
  queue: {
    text: string;
    qos: number;
    retain: boolean;
    messageId?: number;
    sent: boolean;
    released: boolean;
  }[];
  readonly transfers: Set<number>;
}

const CLIENTS = ["ü/b", "__proto__"] as const;
const TOPICS = ["t", "t/u", "x"] as const;
const FILTERS = ["#", "t/#", "+", "t/u", "x"] as const;
const client = fc.constantFrom(...CLIENTS);
const step = fc.oneof(
  fc.record({
    ...{ do: fc.constant("subscribe" as const), client, topic: fc.constantFrom(...FILTERS) },
    ...{ qos: fc.constantFrom(0 as const, 1 as const, 2 as const), nl: fc.boolean(), rap: fc.boolean() },
  }),
  fc.record({ do: fc.constant("unsubscribe" as const), client, topic: fc.constantFrom(...FILTERS) }),
  fc.record({
    ...{ do: fc.constant("publish" as const), client, topic: fc.constantFrom(...TOPICS) },
    ...{ qos: fc.constantFrom(1 as const, 2 as const), retain: fc.boolean() },
  }),
  fc.record({ do: fc.constant("send" as const), client }),
  fc.record({ do: fc.constant("pubrec" as const), client }),
  fc.record({ do: fc.constant("acknowledge" as const), client, at: fc.nat(3) }),
  fc.record({ do: fc.constant("begin" as const), client, id: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("end" as const), client, id: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("wipe" as const), client }),
  fc.record({ do: fc.constant("restart" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** The next step, in the room and in the model. */
async function take(one: Step, room: Room, models: Map<string, Model>, count: number): Promise<void> {
  if (one.do === "restart") {
    await room.restart();
    return;
  }
  const { persistence } = room;
  const model = models.get(one.client);
  if (model === undefined) throw new Error("no model");
  const who = { id: one.client };
  switch (one.do) {
    case "subscribe": {
      const { topic, qos, nl, rap } = one;
      model.subscriptions.delete(topic);
      model.subscriptions.set(topic, { topic, qos, nl, rap });
      await persistence.addSubscriptions(who, [{ topic, qos, nl, rap }]);
      return;
    }
    case "unsubscribe":
      model.subscriptions.delete(one.topic);
      await persistence.removeSubscriptions(who, [one.topic]);
      return;
    case "publish":
      await publish(one, room, { models, count });
      return;
    case "send": {
      const next = model.queue.find(({ messageId }) => messageId === undefined);
      if (next === undefined) return;
      next.messageId = count;
      next.sent = true;
      const entry = entriesOf(room.store, one.client).find(({ messageId }) => messageId === undefined);
      const brokerCounter = entry?.packet.cmd === "publish" ? entry.packet.brokerCounter : undefined;
      await persistence.outgoingUpdate(who, { cmd: "publish", brokerCounter, messageId: count });
      return;
    }
    case "pubrec": {
      const next = model.queue.find(
        ({ messageId, qos, released }) => messageId !== undefined && qos === 2 && !released,
      );
      if (next?.messageId === undefined) return;
      next.released = true;
      await persistence.outgoingUpdate(who, { cmd: "pubrel", messageId: next.messageId });
      return;
    }
    case "acknowledge": {
      const next = model.queue.filter(({ messageId }) => messageId !== undefined)[one.at];
      if (next === undefined) return;
      model.queue = model.queue.filter((each) => each !== next);
      await persistence.outgoingClearMessageId(who, { messageId: next.messageId });
      return;
    }
    case "begin":
      model.transfers.add(one.id);
      await persistence.incomingStorePacket(who, { messageId: one.id });
      room.store.storeTransfer(room.store.session(one.client), { messageId: one.id, verdict: { code: 0 } });
      return;
    case "end":
      model.transfers.delete(one.id);
      await persistence.incomingDelPacket(who, { messageId: one.id });
      return;
    case "wipe":
      models.set(one.client, emptyModel());
      await persistence.cleanSubscriptions(who);
      room.store.connected(one.client, { owner: undefined, expiry: 3600 });
  }
}

async function publish(
  one: Step & { do: "publish" },
  room: Room,
  { models, count }: { readonly models: ReadonlyMap<string, Model>; readonly count: number },
): Promise<void> {
  const text = String(count);
  for (const [id, { subscriptions, queue }] of models) {
    const its = [...subscriptions.values()].filter(
      ({ topic, qos, nl }) => qos > 0 && filterMatches(topic, one.topic) && !(nl && id === one.client),
    );
    if (its.length === 0) continue;
    const qos = Math.min(one.qos, Math.max(...its.map((each) => each.qos)));
    queue.push({ text, qos, retain: one.retain && its.some(({ rap }) => rap), sent: false, released: false });
  }
  const { qos, topic, retain, client: clientId } = one;
  const packet = {
    cmd: "publish",
    topic,
    payload: Buffer.from(text),
    qos,
    retain,
    clientId,
    brokerCounter: 1e6 + count,
  };
  const matching = await room.persistence.subscriptionsByTopic(topic);
  await room.persistence.outgoingEnqueueCombi(matching, packet);
}

const emptyModel = (): Model => ({ subscriptions: new Map(), queue: [], transfers: new Set() });

function entriesOf(store: SessionStore, id: string) {
  const queue = store.find(id)?.queue;
  const found = [];
  for (let entry = queue?.after(0); entry !== undefined; entry = queue?.after(entry.order)) found.push(entry);
  return found;
}

const textOf = ({ payload, qos, retain }: QueuedPublish): object => ({
  text: payload.toString(),
  qos,
  retain,
});

async function compare(room: Room, models: ReadonlyMap<string, Model>): Promise<void> {
  for (const [id, model] of models) {
    const subscriptions = await room.persistence.subscriptionsByClient({ id });
    const byTopic = (one: { topic: string }, other: { topic: string }): number =>
      one.topic < other.topic ? -1 : 1;
    expect(subscriptions.sort(byTopic)).toMatchObject([...model.subscriptions.values()].sort(byTopic));
    const entries = entriesOf(room.store, id).map(({ packet, messageId, sent }) => ({
      ...{ messageId, sent },
      ...(packet.cmd === "pubrel" ? { released: true } : { released: false, ...textOf(packet) }),
    }));
    expect(entries).toMatchObject(
      model.queue.map(({ text, qos, retain, messageId, sent, released }) => ({
        ...{ messageId, sent, released },
        ...(released ? {} : { text, qos, retain }),
      })),
    );
    for (const messageId of [1, 2, 3]) {
      const asked = room.persistence.incomingGetPacket({ id }, { cmd: "pubrel", messageId });
      expect(
        await asked.then(
          () => true,
          () => false,
        ),
      ).toBe(model.transfers.has(messageId));
    }
  }
}

test("whatever is done and whenever it is restarted, the sessions answer as the plainest ones would", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120, size: "max" }), async (steps) => {
      const room = await openRoom();
      const models = new Map(CLIENTS.map((id) => [id as string, emptyModel()]));
      for (const id of CLIENTS) room.store.connected(id, { owner: undefined, expiry: 3600 });
      for (const [at, one] of steps.entries()) {
        await take(one, room, models, at + 1);
        await compare(room, models);
      }
      await room.restart();
      await compare(room, models);
      const { accepted, delivered, dropped, pending } = room.store.ledger();
      expect(pending).toBe([...models.values()].reduce((sum, { queue }) => sum + queue.length, 0));
      expect(accepted).toBe(delivered + (dropped["session-ended"] ?? 0) + pending);
      room.store.close();
    }),
    { seed: 5, numRuns: process.env["NOMQ_LONG"] ? 1_500 : 100 },
  );
});
