import { checkStore, createDurableStore } from "../../src/store/index.ts";

// Says in one line of JSON what a folder holds after its process was killed.
const [folder = ""] = process.argv.slice(2);
const store = createDurableStore({ folder, space: { low: 0, high: 0, reserve: 0 } });
const { attachments } = await store.open();
const rows: number[] = [];
for (let after = 0; ; ) {
  const page = await store.waiting("one", after, 1_000);
  rows.push(...page.map(({ message }) => message.seq));
  after = rows.at(-1) ?? 0;
  if (page.length < 1_000) break;
}
await store[Symbol.asyncDispose]();
const { faults } = await checkStore(folder);
const row = attachments[0]?.row;
process.stdout.write(`${JSON.stringify({ rows, faults, pending: row?.pending })}\n`);
