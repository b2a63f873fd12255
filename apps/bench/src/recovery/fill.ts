// Fills a store with messages that wait, and is killed: nothing is closed.
import type { Message, Write } from "@nomq/core";
import { createDurableStore } from "@nomq/gateway/store";
import { PAYLOAD } from "../stored-acks/network.ts";

const [folder = "", attachment = "", count = "0"] = process.argv.slice(2);
const AT_ONCE = 256;
const MUCH = 2 ** 40;

const store = createDurableStore({ folder });
const { seq: first } = await store.open();
const run = "0123456789abcdef";
const outbox = { messages: MUCH, bytes: MUCH, whenFull: "refuse" } as const;
const stored = { name: attachment, as: "nomq:site", filters: ["bench/down/+"], outbox } as const;
await store.commit({ offers: [{ write: "interest", stored }], facts: [] });

function message(at: number): Message {
  const seq = first + at;
  return {
    ...{
      id: run + seq.toString(16).padStart(16, "0"),
      seq,
      channel: `bench/down/${at % 256}`,
      payload: PAYLOAD,
    },
    ...{ qos: 1, retain: false, priority: 0, publishedAt: Date.now(), origin: "mqtt:broker" },
  };
}

let open: Promise<void>[] = [];
for (let at = 0; at < Number(count); at += AT_ONCE) {
  const offers: Write[] = [];
  for (let next = at; next < Math.min(at + AT_ONCE, Number(count)); next += 1)
    offers.push({ write: "message", message: message(next), to: [attachment] });
  open.push(store.commit({ offers, facts: [] }));
  if (open.length < 4) continue;
  await Promise.all(open);
  open = [];
}
await Promise.all(open);
process.kill(process.pid, "SIGKILL");
