import { setTimeout as wait } from "node:timers/promises";
import { median } from "../ratio.ts";
import { type MeasuredProcess, startMeasured } from "./measured.ts";
import type { Load } from "./messages.ts";
import { type Network, startNetwork, type Way } from "./network.ts";

/** In the long tests it only has to run to its end. */
const ROUNDS = process.env["NOMQ_LONG"] === undefined ? 7 : 1;
const WARM_UP = 3_000;
/** How many are on the way at once, how many a round has, and the least ratio wanted. */
const SETTINGS = [
  { inFlight: 1, perRound: 400, target: undefined },
  { inFlight: 64, perRound: 4_000, target: 0.7 },
  { inFlight: 256, perRound: 4_000, target: 0.7 },
] as const;
const LONGEST_STALL_MS = 20;
const STALLED_MS = 20_000;

type Setting = (typeof SETTINGS)[number];
type Protocol = "nomq" | "mqtt";
type Kind = "disk" | "memory";
const NAMES: Readonly<Record<Protocol, string>> = { nomq: "NoMQ", mqtt: "MQTT" };

/** One round against one gateway. */
interface Round {
  /** Messages per second that were acknowledged and came through: what the gateway can go on with. */
  readonly rate: number;
  /** Acknowledged messages per second alone: some of them still wait for the receiver. */
  readonly burst: number;
  /** Milliseconds from publish to acknowledgement, ascending. */
  readonly latencies: Float64Array;
  readonly load: Load;
}

/**
 * QoS 1 publishes through a gateway whose store is on disk, against one whose store is in memory, in turns: how many
 * are acknowledged each second, how long each takes, and how late the gateway's event loop is beside an idle one. A
 * round ends when the receiver has everything: for a while a gateway can acknowledge faster by delivering less.
 */
export async function benchStoredAcks(): Promise<boolean> {
  await using disk = await startNetwork("disk");
  await using memory = await startNetwork("memory");
  await using idle = await startMeasured();
  const parties = { disk, memory, idle };
  const results: boolean[] = [];
  for (const protocol of ["nomq", "mqtt"] as const) {
    for (const network of [disk, memory])
      await runRound(network[protocol], { inFlight: 64, perRound: WARM_UP, target: undefined });
    for (const setting of SETTINGS) results.push(await measure(parties, protocol, setting));
  }
  return results.every(Boolean);
}

interface Parties {
  readonly disk: Network;
  readonly memory: Network;
  readonly idle: MeasuredProcess;
}

async function measure(parties: Parties, protocol: Protocol, setting: Setting): Promise<boolean> {
  const { disk, memory, idle } = parties;
  const rounds: { disk: Round; memory: Round; idle: Load }[] = [];
  const before = await disk.bytesOnDisk();
  for (let number = 0; number < ROUNDS; number += 1) {
    // The idle loop is measured beside the disk: under the same noise.
    const onDisk = () => beside(idle, () => round(disk, protocol, setting));
    const inMemory = () => round(memory, protocol, setting);
    if (number % 2 === 0) {
      const first = await onDisk();
      rounds.push({ disk: first.result, idle: first.load, memory: await inMemory() });
    } else {
      const first = await inMemory();
      const second = await onDisk();
      rounds.push({ disk: second.result, idle: second.load, memory: first });
    }
  }
  const bytes = ((await disk.bytesOnDisk()) - before) / (ROUNDS * setting.perRound);
  return report({ protocol, setting, rounds, bytes });
}

async function round(network: Network, protocol: Protocol, setting: Setting): Promise<Round> {
  const { result, load } = await beside(network.gateway, () => runRound(network[protocol], setting));
  return { ...result, load };
}

async function beside<T>(
  process: MeasuredProcess,
  work: () => Promise<T>,
): Promise<{ result: T; load: Load }> {
  const working = work();
  const load = await process.during(working);
  return { result: await working, load };
}

/** Publishes, never more than a window unacknowledged; then waits until all of it has come through. */
async function runRound(way: Way, { inFlight, perRound }: Setting | RoundSize): Promise<Omit<Round, "load">> {
  const latencies = new Float64Array(perRound);
  const before = way.received();
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let acknowledged = 0;
    const stalled = setTimeout(
      () => reject(new Error(`stalled: ${sent} sent, ${acknowledged} acknowledged`)),
      STALLED_MS,
    );
    const send = (): void => {
      const index = sent;
      sent += 1;
      const began = performance.now();
      way.publish(index, () => {
        latencies[acknowledged] = performance.now() - began;
        acknowledged += 1;
        if (sent < perRound) send();
        if (acknowledged < perRound) return;
        clearTimeout(stalled);
        resolve();
      });
    };
    while (sent < Math.min(inFlight, perRound)) send();
  });
  const perSecond = (): number => (perRound / (performance.now() - started)) * 1_000;
  const burst = perSecond();
  await through(way, before + perRound);
  return { rate: perSecond(), burst, latencies: latencies.sort() };
}

type RoundSize = { readonly inFlight: number; readonly perRound: number; readonly target: undefined };

async function through(way: Way, count: number): Promise<void> {
  const until = performance.now() + STALLED_MS;
  while (way.received() < count) {
    if (performance.now() > until) throw new Error(`only ${way.received()} of ${count} came through`);
    await wait(5);
  }
}

/** What the rounds of one setting gave. */
interface Results {
  readonly protocol: Protocol;
  readonly setting: Setting;
  readonly rounds: readonly { readonly disk: Round; readonly memory: Round; readonly idle: Load }[];
  readonly bytes: number;
}

/** Prints what the rounds gave; answers whether they meet the targets. */
function report(results: Results): boolean {
  const { protocol, setting, rounds } = results;
  const { inFlight, target } = setting;
  const ratioOf = (what: "rate" | "burst"): number =>
    median(rounds.map(({ disk, memory }) => disk[what] / memory[what]));
  const middle = (of: Kind, what: "rate" | "burst"): string =>
    median(rounds.map((each) => each[of][what])).toFixed(0);
  const ratio = ratioOf("rate");
  const hasRatio = target === undefined || ratio >= target;
  const verdict = target === undefined ? "no target" : `target ≥ ${target}×: ${hasRatio ? "ok" : "MISSED"}`;
  console.log(
    `${NAMES[protocol]} QoS 1, ${String(inFlight).padStart(3)} in flight: ${middle("disk", "rate")}/s stored, ` +
      `acknowledged and delivered, ${ratio.toFixed(2)}× of memory, ${middle("memory", "rate")}/s; ${verdict}`,
  );
  console.log(
    `  acknowledgements alone, before all is delivered: ${middle("disk", "burst")}/s, ` +
      `${ratioOf("burst").toFixed(2)}× of memory, ${middle("memory", "burst")}/s`,
  );
  const latency = (of: Kind): string => `${latencyAt(rounds, of, 0.5)}/${latencyAt(rounds, of, 0.99)}`;
  const work = (of: Kind): string =>
    median(rounds.map((each) => each[of].load.cpu / setting.perRound)).toFixed(0);
  console.log(
    `  ack p50/p99 ${latency("disk")} ms (memory ${latency("memory")}); processor time ${work("disk")} µs a message ` +
      `(memory ${work("memory")}); ${results.bytes.toFixed(0)} B on disk per message`,
  );
  return reportDelays(rounds) && hasRatio;
}

function reportDelays(rounds: Results["rounds"]): boolean {
  const stall = Math.max(...rounds.map(({ disk }) => disk.load.max));
  console.log(
    `  event loop p50/p99/max ${delayText(rounds.map(({ disk }) => disk.load))} ms (memory ` +
      `${delayText(rounds.map(({ memory }) => memory.load))}, idle ${delayText(rounds.map(({ idle }) => idle))}); ` +
      `target max ≤ ${LONGEST_STALL_MS}: ${stall <= LONGEST_STALL_MS ? "ok" : "MISSED"}; its longest turn worked ` +
      `${Math.max(...rounds.map(({ disk }) => disk.load.longest)).toFixed(1)} ms`,
  );
  return stall <= LONGEST_STALL_MS;
}

function latencyAt(rounds: Results["rounds"], of: Kind, part: number): string {
  const all = Float64Array.from(rounds.flatMap((each) => [...each[of].latencies])).sort();
  return (all[Math.floor(all.length * part)] ?? Number.NaN).toFixed(2);
}

/** The middle of the rounds' medians and 99th percentiles, and the worst of all. */
function delayText(loads: readonly Load[]): string {
  const middle = (of: "p50" | "p99"): string => median(loads.map((each) => each[of])).toFixed(1);
  return `${middle("p50")}/${middle("p99")}/${Math.max(...loads.map(({ max }) => max)).toFixed(1)}`;
}
