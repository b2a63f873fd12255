import { batchOf, createPrng, interestWrite, messageWrite, storedMessage } from "@nomq/core/testing";
import { createDurableStore } from "../../src/store/index.ts";

// A process that commits until it is killed, and says what has been acknowledged: `+SEQ` stored, `-SEQ` delivered.
const [folder = "", seed = "1", kind = "commit"] = process.argv.slice(2);
const space = kind === "commit" ? { low: 0, high: 0, reserve: 0 } : {};
const store = createDurableStore({ folder, space });
const { seq: first } = await store.open();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const prng = createPrng(Number(seed));
const NAMES = ["one", "two", "three"];

async function run(): Promise<never> {
  await store.commit(batchOf(NAMES.map((name) => interestWrite(name))));
  let seq = first;
  for (;;) {
    const messages = Array.from({ length: prng.between(1, 20) }, () => {
      seq += 1;
      const given = {
        payload: new Uint8Array(prng.between(0, 600)),
        channel: `c/${seq % 7}`,
        retain: seq % 5 === 0,
      };
      return storedMessage(seq, given);
    });
    const landed = messages.map(async (message) => {
      const state = {
        write: "state",
        owner: "o",
        key: Buffer.from(`${message.seq % 50}`),
        value: Buffer.from("x"),
      } as const;
      await store.commit(batchOf([messageWrite(message, NAMES, `t/${message.seq}`)], [state]));
      say(`+${message.seq}`);
      if (!prng.chance(0.6)) return;
      const name = NAMES[prng.between(0, 2)] ?? "one";
      const end = { write: "outcome", name, seq: message.seq, is: "delivered", at: 1 } as const;
      await store.commit(batchOf([], [end, { write: "release", once: `t/${message.seq}` }]));
      say(`-${message.seq} ${name}`);
    });
    await Promise.all(landed);
    if (prng.chance(0.05)) await store.tidy();
  }
}

say("open");
if (kind === "commit") await run();
else setInterval(() => undefined, 1_000);
