import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { median } from "../ratio.ts";
import { endProcess } from "../server-process.ts";
import type { Work } from "./node-in-crowd.ts";

const ROUNDS = 7;
const WARM_UP = 2;
const TARGET = 1.3;
const LEAST = { channels: 10, peers: 10 };
const SIZES = [
  LEAST,
  { channels: 1_000, peers: 10 },
  { channels: 100_000, peers: 10 },
  { channels: 10, peers: 10_000 },
] as const;
const WORKS: readonly Work[] = [
  "receive QoS 0",
  "receive QoS 1 and answer",
  "send to a peer",
  "send to a subscriber",
];

/**
 * Processor time of one packet at a node in memory among more channels and more peers, each size in a process of its
 * own, in turns. The least size is the reference: the ratio should stay flat.
 */
export async function benchChannelsAndPeers(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const crowds: ChildProcess[] = [];
  for (const size of SIZES) crowds.push(await startCrowd(stack, size));
  let isWell = true;
  for (const work of WORKS) isWell = (await measure(crowds, work)) && isWell;
  return isWell;
}

async function startCrowd(
  stack: AsyncDisposableStack,
  { channels, peers }: { channels: number; peers: number },
): Promise<ChildProcess> {
  const file = new URL("crowd.ts", import.meta.url).pathname;
  const child = fork(file, [String(channels), String(peers)], { execArgv: ["--conditions=@nomq/source"] });
  stack.defer(() => endProcess(child));
  await answerOf(child);
  return child;
}

async function measure(crowds: readonly ChildProcess[], work: Work): Promise<boolean> {
  const rounds: number[][] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const micros: number[] = [];
    for (const crowd of crowds) {
      crowd.send(work);
      micros.push(Number(await answerOf(crowd)));
    }
    if (round >= WARM_UP) rounds.push(micros);
  }
  const reports = SIZES.map(({ channels, peers }, at) => {
    const micros = median(rounds.map((round) => round[at] ?? Number.NaN));
    const ratio = median(rounds.map((round) => (round[at] ?? Number.NaN) / (round[0] ?? Number.NaN)));
    if (at === 0) return true;
    const isWell = ratio <= TARGET;
    console.log(
      `${work.padEnd(25)} ${channels.toLocaleString("en").padStart(7)} channels, ` +
        `${peers.toLocaleString("en").padStart(6)} peers: ${micros.toFixed(2)} µs, ${ratio.toFixed(2)}× of ` +
        `${LEAST.channels} channels and ${LEAST.peers} peers; target ≤ ${TARGET}×: ${isWell ? "ok" : "MISSED"}`,
    );
    return isWell;
  });
  return reports.every(Boolean);
}

/** What the process says next; rejects when it ends instead. */
async function answerOf(child: ChildProcess): Promise<unknown> {
  const ending = new AbortController();
  const { signal } = ending;
  try {
    const [answer] = await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(() => {
        throw new Error("a process of the benchmark ended");
      }),
    ]);
    return answer;
  } finally {
    ending.abort();
  }
}
