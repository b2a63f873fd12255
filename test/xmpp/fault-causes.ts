import { setTimeout as pass } from "node:timers/promises";
import type { Prng } from "@nomq/core/testing";
import type { Fault } from "../real/faulty-link.ts";
import type { FaultStage } from "./fault-stage.ts";

/** Something that goes wrong, and is well again when it resolves. */
interface Cause {
  readonly name: string;
  readonly isLong?: true;
  run(): Promise<void>;
}

/** How long things go wrong. */
export interface Causing {
  readonly random: Prng;
  /** So many different ones, and then again as chance has it until `forMs` of trouble are over. */
  readonly least: number;
  readonly forMs: number;
  /** Besides, what lasts longer than a server may be silent: 10 s to 17 s each, for which `forMs` waits. */
  readonly long: boolean;
  /** Hears of each. */
  readonly say: (text: string) => void;
}

/** Makes go wrong what may, in an order and for times drawn at random. */
export async function cause(stage: FaultStage, options: Causing): Promise<void> {
  const { random, forMs, say } = options;
  const short = shortCauses(stage, random);
  const first = firstOf(stage, short, options);
  let spentMs = 0;
  for (let at = 0; at < first.length || spentMs < forMs; at += 1) {
    // Longer pauses after each failed attempt would spare the gateway most of what is to come.
    if (options.long && random.chance(0.4)) await readyFor(stage, READY_MS);
    const since = performance.now();
    await pass(random.between(0, 400));
    const { name, isLong = false, run } = first[at] ?? short[random.between(0, short.length - 1)] ?? NONE;
    say(name);
    await run();
    if (!isLong) spentMs += performance.now() - since;
  }
}

const READY_MS = 10_000;

async function readyFor({ health }: FaultStage, ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until && (await health()).bridges["xmpp"]?.state === "reconnecting")
    await pass(100);
}

/** Both kills, and of the rest as many as are asked for. */
function firstOf(
  stage: FaultStage,
  short: readonly Cause[],
  { random, least, long }: Causing,
): readonly Cause[] {
  const isKill = ({ name }: Cause): boolean => name.endsWith("SIGKILL");
  const kills = short.filter(isKill);
  const others = shuffled(
    short.filter((one) => !isKill(one)),
    random,
  );
  const chosen = [...kills, ...others.slice(0, Math.max(0, least - kills.length))];
  return shuffled([...chosen, ...(long ? longCauses(stage, random) : [])], random);
}

const NONE: Cause = { name: "nothing", run: async () => undefined };

function lasting(stage: FaultStage, fault: Fault, ms: () => number): Cause {
  return {
    name: fault,
    async run() {
      stage.link.fault(fault);
      await pass(ms());
      stage.link.heal();
    },
  };
}

function shortCauses(stage: FaultStage, random: Prng): readonly Cause[] {
  const { prosody, ground } = stage;
  const short = (): number => random.between(50, 600);
  const serverEnds = (signal: "SIGTERM" | "SIGKILL"): Cause => ({
    name: `server ${signal}`,
    async run() {
      await prosody.end(signal);
      await pass(short());
      await prosody.start();
    },
  });
  return [
    ...(["cut", "reset"] as const).map((fault) => lasting(stage, fault, () => 0)),
    ...(["refuse", "stall", "silence", "lose-sent", "lose-answers"] as const).map((fault) =>
      lasting(stage, fault, short),
    ),
    ...[serverEnds("SIGTERM"), serverEnds("SIGKILL")],
    {
      name: "server stopped",
      async run() {
        prosody.signal("SIGSTOP");
        await pass(short());
        prosody.signal("SIGCONT");
      },
    },
    {
      name: "gateway SIGKILL",
      async run() {
        await ground.kill();
        await pass(short());
        await ground.start();
      },
    },
  ];
}

function longCauses(stage: FaultStage, random: Prng): readonly Cause[] {
  const long = (): number => random.between(10_500, 17_000);
  return (["stall", random.chance(0.5) ? "lose-sent" : "lose-answers"] as const).map((fault) => {
    const { run } = lasting(stage, fault, long);
    return { name: `long ${fault}`, isLong: true, run };
  });
}

function shuffled<Value>(values: readonly Value[], random: Prng): readonly Value[] {
  return values
    .map((value) => ({ value, at: random.next() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ value }) => value);
}
