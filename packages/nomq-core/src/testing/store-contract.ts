import { deepEqual, equal } from "node:assert/strict";
import type { Store } from "../hub/store.ts";
import type { Message } from "../message.ts";
import { outboxCases } from "./store-cases.ts";
import { batchOf, collected, messageWrite, type StoreCase, storedMessage } from "./store-harness.ts";

const EMPTY = new Uint8Array();
const channels = (messages: readonly Message[]): string[] => messages.map(({ channel }) => channel);

async function changeRetained(store: Store, seq: number): Promise<void> {
  const value = (more: number, given: Partial<Message>) =>
    messageWrite(storedMessage(seq + more, { retain: true, ...given }));
  await store.commit(
    batchOf([
      value(0, { channel: "a" }),
      value(1, { channel: "b", qos: 0 }),
      value(2, { channel: "c" }),
      value(3, { channel: "c", payload: EMPTY }),
      value(4, { channel: "d", payload: EMPTY }),
      value(5, { channel: "d" }),
    ]),
  );
  await store.commit(batchOf([value(6, { channel: "a" }), value(7, { channel: "b", payload: EMPTY })]));
  await store.commit(batchOf([messageWrite(storedMessage(seq + 8, { channel: "a" }))]));
}

const retained: StoreCase = {
  name: "the last retained value of a channel is set, replaced and cleared, and a tombstone tells of the clearing",
  async run(contract) {
    await using harness = await contract.make();
    const { seq } = await harness.store.open();
    await changeRetained(harness.store, seq);
    for (const how of [undefined, "kill", "stop"] as const) {
      if (how !== undefined) await harness.reopen(how);
      const { store } = harness;
      const all = await store.retained(["#"], { limit: 10 });
      deepEqual(
        all.map((message) => [message.channel, message.seq]),
        [
          ["a", seq + 6],
          ["d", seq + 5],
        ],
      );
      const buried = await store.retained(["#"], { limit: 10, tombstones: true });
      deepEqual(
        buried.map((message) => [message.channel, message.payload.length]),
        [
          ["a", all[0]?.payload.length],
          ["b", 0],
          ["c", 0],
          ["d", all[1]?.payload.length],
        ],
      );
      equal((await store.latest("a"))?.seq, seq + 6);
      equal(await store.latest("b"), undefined);
      equal(await store.latest("never"), undefined);
    }
  },
};

const pages: StoreCase = {
  name: "retained values come in pages, in order of UTF-16 code units, under their filters only",
  async run(contract) {
    await using harness = await contract.make();
    const { seq } = await harness.store.open();
    // U+FF5E sorts after U+1D11E in UTF-16 and before it in UTF-8.
    const names = ["a", "a/b", "a/b/c", "a0", "b/b", "é", "𝄞", "～", "a//b"];
    const offers = names.map((channel, at) =>
      messageWrite(storedMessage(seq + at, { channel, retain: true })),
    );
    await harness.store.commit(batchOf(offers));
    const sorted = names.toSorted();
    for (const how of [undefined, "kill"] as const) {
      if (how !== undefined) await harness.reopen(how);
      const { store } = harness;
      const seen: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.retained(["#"], { limit: 2, ...(after === undefined ? {} : { after }) });
        seen.push(...channels(page));
        after = page.at(-1)?.channel;
        if (page.length < 2) break;
      }
      deepEqual(seen, sorted);
      deepEqual(channels(await store.retained(["a/#", "+/b"], { limit: 9 })), [
        "a",
        "a//b",
        "a/b",
        "a/b/c",
        "b/b",
      ]);
      deepEqual(channels(await store.retained(["b/b", "a", "a", "no"], { limit: 9 })), ["a", "b/b"]);
      deepEqual(channels(await store.retained(["b/b", "a"], { limit: 1 })), ["a"]);
      deepEqual(await store.retained(["no/+"], { limit: 9 }), []);
      deepEqual(await store.retained([], { limit: 9 }), []);
    }
  },
};

const history: StoreCase = {
  name: "a channel's history is its last ten stored messages, by number and by time",
  async run(contract) {
    await using harness = await contract.make();
    const { seq } = await harness.store.open();
    for (let more = 0; more < 12; more += 1) {
      const message = storedMessage(seq + more, { publishedAt: 1_760_000_000_000 + more });
      await harness.store.commit(batchOf([messageWrite(message, ["one"])]));
      const end = { write: "outcome", name: "one", seq: seq + more, is: "delivered", at: 1 } as const;
      await harness.store.commit(batchOf([], [end]));
    }
    await harness.store.commit(batchOf([messageWrite(storedMessage(seq + 12, { qos: 0, channel: "a" }))]));
    for (const how of [undefined, "kill", "stop"] as const) {
      if (how !== undefined) await harness.reopen(how);
      const { store } = harness;
      const seqs = async (range: { last?: number; since?: number }): Promise<number[]> =>
        (await collected(store.history("a/b", range))).map((message) => message.seq - seq);
      deepEqual(await seqs({}), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      deepEqual(await seqs({ last: 2 }), [10, 11]);
      deepEqual(await seqs({ since: 1_760_000_000_009 }), [9, 10, 11]);
      deepEqual(await seqs({ since: 1_760_000_000_003, last: 1 }), [11]);
      deepEqual(await collected(store.history("a", {})), []);
    }
  },
};

const atomic: StoreCase = {
  name: "what is committed together is there together after a kill, however many commits are under way",
  async run(contract) {
    await using harness = await contract.make();
    const { seq } = await harness.store.open();
    const key = (at: number): Uint8Array => new Uint8Array([at]);
    const { store } = harness;
    const under = Array.from({ length: 50 }, (_, at) => {
      const offer = messageWrite(storedMessage(seq + at, { channel: `c/${at}`, retain: true }), ["one"]);
      const fact = { write: "state", owner: "o", key: key(at), value: key(at) } as const;
      return store.commit(batchOf([offer], [fact]));
    });
    await under[30];
    await harness.reopen("kill");
    void Promise.allSettled(under);
    const rows = await harness.store.waiting("one", 0, 100);
    const states = await collected(harness.store.state("o"));
    const values = await harness.store.retained(["#"], { limit: 100 });
    const told = rows.map(({ message }) => message.seq - seq);
    deepEqual(
      told,
      Array.from({ length: told.length }, (_, at) => at),
    );
    equal(told.length >= 31, true);
    equal(states.length, told.length);
    equal(values.length, told.length);
  },
};

/**
 * What every store promises, as cases for any test runner:
 *
 * ```ts
 * test.for(storeContractCases)("$name", (one) => one.run(contract));
 * ```
 */
export const storeContractCases: readonly StoreCase[] = [...outboxCases, retained, pages, history, atomic];
