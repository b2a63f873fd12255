import { fork } from "node:child_process";
import { once } from "node:events";
import { kinds, type Weight } from "./entries.ts";

const COUNT = 50_000;

/** At most so many times an entry with the same key in a `Map`. */
const TARGETS: Readonly<Record<(typeof kinds)[number], number>> = {
  channel: 4,
  peer: 10,
  "session heard lately": 12,
  "session silent": 8,
};

/** Bytes that a node keeps for each peer, session and channel, against a plain `Map` with the same keys. */
export async function benchMemory(): Promise<boolean> {
  let isWell = true;
  for (const kind of kinds) {
    const { bytes, reference } = await weighApart(kind);
    const ratio = bytes / reference;
    const target = TARGETS[kind];
    console.log(
      `${kind.padEnd(20)} ${bytes.toFixed(0).padStart(5)} B, ${ratio.toFixed(2)}× of a Map entry, ` +
        `${reference.toFixed(0)} B; target ≤ ${target}×: ${ratio <= target ? "ok" : "MISSED"}`,
    );
    isWell &&= ratio <= target;
  }
  return isWell;
}

async function weighApart(kind: string): Promise<Weight> {
  const file = new URL("weigh.ts", import.meta.url).pathname;
  const child = fork(file, [kind, String(COUNT)], {
    execArgv: ["--conditions=@nomq/source", "--expose-gc"],
  });
  const ended = new AbortController();
  const [weight] = await Promise.race([
    once(child, "message", { signal: ended.signal }),
    once(child, "exit", { signal: ended.signal }).then(() => {
      throw new Error("a process of the benchmark ended");
    }),
  ]).finally(() => ended.abort());
  // What its sender gives.
  return weight as Weight;
}
