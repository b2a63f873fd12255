import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Store, Write } from "../hub/store.ts";
import {
  batchOf,
  collected,
  interestWrite,
  messageWrite,
  type StoreCase,
  type StoreHarness,
  storedMessage,
} from "./store-harness.ts";

const KINDS = ["stop", "kill"] as const;

/** The highest `seq` of a new store's messages must lie above its start. */
async function begun(harness: StoreHarness): Promise<number> {
  const { seq } = await harness.store.open();
  return seq;
}

const everything: StoreCase = {
  name: "a message comes back with all that it was given, in its place and with its attempts",
  async run(contract) {
    await using harness = await contract.make();
    const seq = await begun(harness);
    const full = storedMessage(seq, {
      ...{ channel: "ä/𝄞//b", payload: new Uint8Array([0, 255, 1]), qos: 2, retain: true, priority: 15 },
      ...{ contentType: "a/b", expiresAt: 1_760_000_100_000.5, responseChannel: "r", origin: "o" },
      correlation: new Uint8Array([9]),
      properties: [
        ["n", "1"],
        ["n", ""],
      ],
    });
    const plain = storedMessage(seq + 1, { id: "no hex", payload: new Uint8Array() });
    await harness.store.commit(
      batchOf([interestWrite("one"), messageWrite(full, ["one"]), messageWrite(plain, ["one"])]),
    );
    await harness.store.commit(batchOf([{ write: "open", name: "one", seq, attempt: 2 }]));
    await harness.store.commit(batchOf([{ write: "open", name: "one", seq, attempt: 1 }]));
    for (const how of [undefined, ...KINDS]) {
      if (how !== undefined) await harness.reopen(how);
      const { store } = harness;
      deepEqual(await store.waiting("one", 0, 10), [
        { message: full, attempt: 2 },
        { message: plain, attempt: 0 },
      ]);
      deepEqual(await store.waiting("one", seq, 10), [{ message: plain, attempt: 0 }]);
      equal((await store.waiting("one", 0, 1)).length, 1);
      deepEqual(await store.waiting("nobody", 0, 1), []);
      deepEqual(await store.latest(full.channel), full);
    }
  },
};

const outcomes: StoreCase = {
  name: "an outcome ends its row, counts once and settles the receipt, over a stop and a kill",
  async run(contract) {
    await using harness = await contract.make();
    const seq = await begun(harness);
    const messages = [0, 1, 2].map((more) => storedMessage(seq + more));
    await harness.store.commit(
      batchOf([
        interestWrite("one"),
        interestWrite("two"),
        ...messages.map((message) => messageWrite(message, ["one", "two"])),
      ]),
    );
    const end = { write: "outcome", name: "one", seq, is: "delivered", at: 7 } as const;
    await harness.store.commit(batchOf([], [end, end]));
    await harness.reopen("kill");
    await harness.store.commit(batchOf([], [end]));
    const drop = {
      write: "outcome",
      name: "one",
      seq: seq + 2,
      is: "dropped",
      reason: "overflow",
      at: 8,
    } as const;
    await harness.store.commit(batchOf([], [drop, { ...drop, name: "nobody" }, { ...drop, seq: seq + 9 }]));
    await harness.reopen("stop");
    const { attachments } = await harness.store.open();
    const [one, two] = attachments.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const none = { delivered: 0, expired: 0, refused: 0, uncertain: 0, dropped: {} };
    deepEqual(one?.row, { ...none, accepted: 3, delivered: 1, dropped: { overflow: 1 }, pending: 1 });
    deepEqual([one?.waiting, one?.bytes], [1, two === undefined ? 0 : two.bytes / 3]);
    deepEqual(two?.row, { ...none, accepted: 3, pending: 3 });
    const left = await harness.store.waiting("one", 0, 10);
    deepEqual(
      left.map(({ message }) => message.seq),
      [seq + 1],
    );
    await settled(harness.store, storedMessage(seq).id, { ...end, name: "two" });
  },
};

/** The last outcome of a message settles its receipt. */
async function settled(store: Store, id: string, last: Write & { write: "outcome" }): Promise<void> {
  const receipt = await store.receipt(id);
  equal(receipt?.at, "stored");
  deepEqual(receipt?.outcomes[0], { attachment: "one", is: "delivered", at: 7 });
  equal(receipt?.outcomes[1]?.is, "pending");
  await store.commit(batchOf([], [last]));
  equal((await store.receipt(id))?.at, "delivered");
  equal(await store.receipt("unknown"), undefined);
}

const numbers: StoreCase = {
  name: "no number is given twice, whatever a run has used",
  async run(contract) {
    await using harness = await contract.make();
    let least = await begun(harness);
    ok(least >= 1);
    for (const how of KINDS) {
      await harness.store.commit(batchOf([messageWrite(storedMessage(least + 5))]));
      await harness.reopen(how);
      const { seq } = await harness.store.open();
      ok(seq > least + 2 ** 32 - 1, `${seq} after ${least}`);
      least = seq;
    }
    await harness.store.commit(batchOf([], [{ write: "seq", seq: least + 2 ** 33 }]));
    await harness.reopen("kill");
    const { seq } = await harness.store.open();
    ok(seq > least + 2 ** 33);
    ok(Number.isSafeInteger(seq));
  },
};

const transfers: StoreCase = {
  name: "names of transfers come back oldest first until they are released",
  async run(contract) {
    await using harness = await contract.make();
    const seq = await begun(harness);
    for (const [at, once] of ["z", "a", "m/é"].entries())
      await harness.store.commit(batchOf([messageWrite(storedMessage(seq + at), [], once)]));
    await harness.store.commit(batchOf([], [{ write: "release", once: "a" }]));
    for (const how of KINDS) {
      await harness.reopen(how);
      const { once } = await harness.store.open();
      deepEqual(once, [
        ["z", storedMessage(seq).id],
        ["m/é", storedMessage(seq + 2).id],
      ]);
    }
  },
};

const forgotten: StoreCase = {
  name: "what is forgotten is gone at once, and its name begins anew",
  async run(contract) {
    await using harness = await contract.make();
    const seq = await begun(harness);
    const offers = [0, 1, 2].map((more) => messageWrite(storedMessage(seq + more), ["one", "two"]));
    await harness.store.commit(batchOf([interestWrite("one"), interestWrite("two"), ...offers]));
    await harness.store.commit(batchOf([], [{ write: "forget", name: "one", at: 5 }]));
    await harness.store.commit(batchOf([], [{ write: "forget", name: "never there", at: 5 }]));
    deepEqual(await harness.store.waiting("one", 0, 10), []);
    await harness.store.commit(
      batchOf([interestWrite("one", ["b"]), messageWrite(storedMessage(seq + 3), ["one"])]),
    );
    for (const how of KINDS) {
      await harness.reopen(how);
      const { attachments } = await harness.store.open();
      const one = attachments.find(({ name }) => name === "one");
      deepEqual([one?.filters, one?.waiting, one?.row.accepted], [["b"], 1, 1]);
      equal((await harness.store.waiting("one", 0, 10)).length, 1);
      equal((await harness.store.waiting("two", 0, 10)).length, 3);
      const receipt = await harness.store.receipt(storedMessage(seq).id);
      deepEqual(receipt?.outcomes[0], { attachment: "one", is: "dropped", reason: "forgotten", at: 5 });
      equal(receipt?.outcomes[1]?.is, "pending");
    }
  },
};

const counts: StoreCase = {
  name: "counts add up, also of names without interest",
  async run(contract) {
    await using harness = await contract.make();
    await begun(harness);
    const add = { accepted: 2, delivered: 1, dropped: { overflow: 1 } };
    for (const name of ["kept", "volatile"])
      await harness.store.commit(batchOf([], [{ write: "count", name, add }]));
    await harness.store.commit(batchOf([interestWrite("kept")], [{ write: "count", name: "kept", add }]));
    for (const how of KINDS) {
      await harness.reopen(how);
      const { attachments, rows } = await harness.store.open();
      const none = { expired: 0, refused: 0, uncertain: 0, pending: 0 };
      deepEqual(attachments[0]?.row, { ...none, accepted: 4, delivered: 2, dropped: { overflow: 2 } });
      deepEqual(rows, [["volatile", { ...none, accepted: 2, delivered: 1, dropped: { overflow: 1 } }]]);
    }
  },
};

const states: StoreCase = {
  name: "a bridge's state is its own, set, replaced and deleted by the bytes of its keys",
  async run(contract) {
    await using harness = await contract.make();
    await begun(harness);
    const key = (...bytes: number[]): Uint8Array => new Uint8Array(bytes);
    const set = (owner: string, at: Uint8Array, value?: Uint8Array) =>
      ({ write: "state", owner, key: at, ...(value === undefined ? {} : { value }) }) as const;
    await harness.store.commit(
      batchOf(
        [],
        [set("one", key(0, 255), key(1)), set("one", key(), key()), set("two", key(0, 255), key(2))],
      ),
    );
    await harness.store.commit(batchOf([], [set("one", key(0, 255), key(3)), set("three", key(1))]));
    await harness.store.commit(batchOf([], [set("two", key(0, 255))]));
    for (const how of KINDS) {
      await harness.reopen(how);
      const one = await collected(harness.store.state("one"));
      deepEqual(
        one.toSorted(([a], [b]) => a.length - b.length),
        [
          [key(), key()],
          [key(0, 255), key(3)],
        ],
      );
      deepEqual(await collected(harness.store.state("two")), []);
      deepEqual(await collected(harness.store.state("nobody")), []);
    }
  },
};

const closing: StoreCase = {
  name: "a closed store takes nothing; commits under way when it closes are there or were refused",
  async run(contract) {
    await using harness = await contract.make();
    const seq = await begun(harness);
    const { store } = harness;
    await store.commit(batchOf([interestWrite("one")]));
    const kept: number[] = [];
    const commits = [0, 1, 2, 3].map((more) =>
      store.commit(batchOf([messageWrite(storedMessage(seq + more), ["one"])])).then(
        () => kept.push(seq + more),
        () => undefined,
      ),
    );
    await store[Symbol.asyncDispose]();
    await Promise.all(commits);
    await rejects(store.commit(batchOf([messageWrite(storedMessage(seq + 9), ["one"])])));
    await rejects(store.waiting("one", 0, 1));
    await store[Symbol.asyncDispose]();
    await harness.reopen("stop");
    const rows = await harness.store.waiting("one", 0, 10);
    deepEqual(
      rows.map(({ message }) => message.seq),
      kept,
    );
  },
};

/** What every store promises about outboxes, counts, transfers and state. */
export const outboxCases: readonly StoreCase[] = [
  everything,
  outcomes,
  numbers,
  transfers,
  forgotten,
  counts,
  states,
  closing,
];
