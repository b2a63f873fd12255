import { createMemoryStore, type Message, type Store } from "@nomq/core";
import { expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

const KIB = 1024;
const MESSAGES = 100;

/** A store that counts the bytes of waiting messages it gave out. */
function countingStore(): { readonly store: Store; readonly bytes: () => number } {
  const inner = createMemoryStore();
  let bytes = 0;
  const count = (rows: readonly { readonly message: Message }[]): void => {
    for (const { message } of rows) bytes += message.payload.byteLength;
  };
  const store: Store = Object.create(inner, {
    waiting: {
      value: async (...wanted: Parameters<Store["waiting"]>) => {
        const rows = await inner.waiting.apply(store, wanted);
        count(rows);
        return rows;
      },
    },
  });
  return { store, bytes: () => bytes };
}

test("a silent peer has a share of memory in bytes too; the rest waits in the store, and comes in order", async () => {
  const { store, bytes } = countingStore();
  await using rig = await createRig({ store, limits: { heldBytes: 64 * KIB } });
  const away = await rig.attach(createRecorder({ durable: true }));
  const ended = away[Symbol.asyncDispose]();
  await rig.clock.advance(6_000);
  await ended;
  for (let count = 0; count < MESSAGES; count += 1) {
    const payload = Buffer.alloc(16 * KIB, count);
    await rig.publish({ channel: `c${count % 3}`, payload, qos: 1 });
  }
  const silent = createRecorder({ durable: true }, "asks");
  await rig.attach(silent);
  await settle(50);
  // Half of the share is filled up by a page of a quarter.
  expect(bytes()).toBeGreaterThan(0);
  expect(bytes()).toBeLessThanOrEqual(64 * KIB);
  expect(rig.hub.attachments()[0]?.ledger.pending).toBe(MESSAGES);
  while (silent.calls.some(({ isOpen }) => isOpen)) {
    await lastCall(silent).answer();
    await settle(20);
  }
  expect(silent.calls.map(({ message }) => message.payload[0])).toEqual(
    Array.from({ length: MESSAGES }, (_, at) => at),
  );
  expect(rig.hub.attachments()[0]?.ledger).toMatchObject({ delivered: MESSAGES, pending: 0 });
});
