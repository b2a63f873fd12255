import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { batchOf, interestWrite, messageWrite, storedMessage } from "@nomq/core/testing";
import { createDurableStore } from "../../src/store/index.ts";

// On a disk without a byte left, most of it taken by tables that no MANIFEST names: a store that opens and takes more.
const folder = join(process.argv[2] ?? "", "store");
const space = { low: 0, high: 0, reserve: 0 };
const offer = (seq: number) =>
  batchOf([messageWrite(storedMessage(seq, { payload: new Uint8Array(8_192).fill(1) }), ["one"])]);
const given = { folder, space, durability: "power", history: [] } as const;

{
  await using store = createDurableStore(given);
  const { seq } = await store.open();
  await store.commit(batchOf([interestWrite("one")]));
  for (let more = 1; more <= 200; more += 1) await store.commit(offer(seq + more));
}
try {
  for (let left = 1; ; left += 1)
    writeFileSync(join(folder, "level", `${900_000 + left}.ldb`), Buffer.alloc(2 * 1024 * 1024));
} catch (error) {
  process.stdout.write(`${error instanceof Error && "code" in error ? error.code : "none"}\n`);
}
writeFileSync(join(folder, "level", "900099.log"), "");
{
  await using store = createDurableStore(given);
  const { seq, attachments } = await store.open();
  await store.commit(offer(seq + 1));
  process.stdout.write(`waiting ${attachments[0]?.waiting}\n`);
}
const left = readdirSync(join(folder, "level")).filter((name) => name.startsWith("9000"));
process.stdout.write(`left ${left.join()}\n`);
