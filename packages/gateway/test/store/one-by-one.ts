import { writeSync } from "node:fs";
import { batchOf, interestWrite, messageWrite, storedMessage } from "@nomq/core/testing";
import { createDurableStore } from "../../src/store/index.ts";

// A process that commits one message at a time, and says `+SEQ` once it is acknowledged.
const [folder = "", durability = "process"] = process.argv.slice(2);
const store = createDurableStore({
  folder,
  durability: durability === "power" ? "power" : "process",
  space: { low: 0, high: 0, reserve: 0 },
});
const { seq } = await store.open();
await store.commit(batchOf([interestWrite("one")]));
for (let at = 0; at < 20; at += 1) {
  await store.commit(batchOf([messageWrite(storedMessage(seq + at), ["one"])]));
  writeSync(1, `+${seq + at}\n`);
}
await store[Symbol.asyncDispose]();
