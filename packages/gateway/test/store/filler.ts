import { existsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { batchOf, interestWrite, messageWrite, storedMessage } from "@nomq/core/testing";
import { freeBytes } from "../../src/store/disk/folder.ts";
import { createDurableStore } from "../../src/store/index.ts";

// A process that fills a small disk, goes on publishing, frees room and goes on until it works again. It says `+SEQ`
// for what was acknowledged, `full` at the first refusal, `healed` at the first commit after it.
const [disk = "", mode = "watch"] = process.argv.slice(2);
const folder = join(disk, "store");
const ballast = join(disk, "ballast");
const MIB = 1024 * 1024;
// `blind` never looks at what is left, so that the disk's own error is met.
const space = mode === "blind" ? { low: 0, high: 0, reserve: 8 * MIB } : { high: 34 * MIB };
const store = createDurableStore({ folder, space, durability: "power", history: [] });
const say = (line: string): void => void process.stdout.write(`${line}\n`);
// A store that cannot even open again waits for room: it must not wait for ever. One that fills a slow disk need not hurry.
const free = (): void => {
  if (!existsSync(ballast)) return;
  unlinkSync(ballast);
  say("freed");
};
const turn = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

// Nothing else may keep the process alive while the store waits for room.
setInterval(() => undefined, 1_000);
let { seq } = await store.open();
await store.commit(batchOf([interestWrite("one")]));
await store.tidy();
writeFileSync(ballast, Buffer.alloc(24 * MIB));
const stuck = setTimeout(free, 15_000);

async function commit(): Promise<boolean> {
  const first = seq + 1;
  seq += 8;
  const offers = Array.from({ length: 8 }, (_, at) =>
    messageWrite(storedMessage(first + at, { payload: new Uint8Array(8_192).fill(1) }), ["one"]),
  );
  try {
    await store.commit(batchOf(offers));
  } catch {
    return false;
  }
  stuck.refresh();
  for (let at = 0; at < 8; at += 1) say(`+${first + at}`);
  return true;
}

while (await commit());
setTimeout(free, 5_000);
say(`full ${mode === "watch" ? await freeBytes(disk) : 0}`);
// Facts are taken all the same, where the store kept room for them.
const fact = { write: "count", name: "one", add: { accepted: 1, refused: 1 } } as const;
for (let left = 20; left > 0; left -= 1) {
  await commit();
  await store.commit(batchOf([], [fact])).then(
    () => say("fact"),
    () => say("no fact"),
  );
}
free();
while (!(await commit())) await turn(50);
say("healed");
for (let left = 20; left > 0; left -= 1) await commit();
say("done");
