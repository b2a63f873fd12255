import { parseArgs } from "node:util";
import { planOf, play, type Summary } from "./run.ts";
import { canMount } from "./small-disk.ts";
import type { Trouble } from "./troubles.ts";
import { HAS_XMPP } from "./xmpp-stage.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    kinds: { type: "string" },
    loss: { type: "string" },
    times: { type: "string", default: "6" },
    help: { type: "boolean", default: false },
  },
});
const KINDS: readonly Trouble["is"][] = [
  "kill",
  "kill, then replay",
  "kill xmpp",
  "kill both",
  "hang",
  "full",
  "no room at all",
  "kill while full",
];
const USAGE = `npm run soak -- [--minutes N] [--seed N] [--kinds KIND+KIND] [--loss PART] [--times N]

Rounds of trouble for a gateway under traffic, each with a new seed, until the minutes are over (30); a round that has
begun is ended. Kinds: ${KINDS.map((kind) => JSON.stringify(kind)).join(", ")}. Exits with 1 when a promise was broken.
`;
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
const own = values.kinds?.split("+").map((asked) => KINDS.find((kind) => kind === asked));
const ownKinds = own?.filter((kind) => kind !== undefined);
if (own?.length !== ownKinds?.length || !(minutes > 0) || !Number.isSafeInteger(firstSeed)) {
  process.stderr.write(USAGE);
  process.exit(2);
}

const ROUNDS: readonly { readonly kinds: readonly Trouble["is"][]; readonly loss: number }[] = [
  { kinds: ["kill"], loss: 0 },
  { kinds: ["kill, then replay"], loss: 0 },
  { kinds: ["hang", "kill"], loss: 0 },
  ...(canMount ? [{ kinds: ["full", "no room at all", "kill while full"] as const, loss: 0 }] : []),
  { kinds: ["kill"], loss: 0.2 },
  ...(HAS_XMPP ? [{ kinds: ["kill xmpp", "kill both"] as const, loss: 0 }] : []),
];

const stop = new AbortController();
let interrupts = 0;
process.on("SIGINT", () => {
  interrupts += 1;
  if (interrupts > 1) process.exit(130);
  process.stdout.write("ending; once more ends at once\n");
  stop.abort();
});

const say = (text: string): void => void process.stdout.write(`${new Date().toISOString()} ${text}\n`);
const until = performance.now() + minutes * 60_000;
const totals = {
  rounds: 0,
  published: 0,
  acked: 0,
  received: 0,
  refused: 0,
  kills: 0,
  lost: 0,
  rss: 0,
  disk: 0,
};
const failures: string[] = [];

function add(summary: Summary): void {
  totals.rounds += 1;
  for (const name of ["published", "acked", "received", "refused", "kills"] as const)
    totals[name] += summary[name];
  totals.lost += summary.datagrams.lost;
  totals.rss = Math.max(totals.rss, summary.rss);
  totals.disk = Math.max(totals.disk, summary.disk);
}

for (let round = 0; performance.now() < until && !stop.signal.aborted; round += 1) {
  const seed = firstSeed + round;
  const { kinds, loss } = ROUNDS[round % ROUNDS.length] ?? { kinds: ["kill"], loss: 0 };
  const options = {
    kinds: ownKinds ?? kinds,
    loss: Number(values.loss ?? loss),
    times: Number(values.times),
  };
  const plan = planOf(seed, { ...options, acks: options.loss > 0 ? 60 : 300 });
  say(
    `round ${round + 1}, seed ${seed}: ${options.kinds.join(", ")}${options.loss > 0 ? `, ${options.loss} lost` : ""}`,
  );
  try {
    const summary = await play(plan, { say, signal: stop.signal, limitMs: 6 * 3_600_000 });
    add(summary);
    const { took, stood } = summary.settling;
    say(
      `round ${round + 1}: ${summary.acked} acknowledged, ${summary.kills} kills, nothing lost; the last arrived after ${took} ms, at most ${stood} ms apart`,
    );
  } catch (error) {
    if (stop.signal.aborted) break;
    const text = error instanceof Error ? error.message : String(error);
    failures.push(`seed ${seed}`);
    say(`FAILED ${text}`);
  }
}
say(
  `${JSON.stringify(totals)} MiB: rss, disk; ${failures.length} failures${failures.length > 0 ? `: ${failures.join(", ")}` : ""}`,
);
process.exitCode = failures.length > 0 ? 1 : stop.signal.aborted ? 130 : 0;
