import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sent } from "./book.ts";
import { calmSinceOf, clientFaults, eventFaults, ledgerFaults, missingAt, staleAt } from "./checks.ts";
import { openDwindling } from "./dwindling.ts";
import type { Relay } from "./relay.ts";
import { draws } from "./seed.ts";
import { DISK_MIB } from "./small-disk.ts";
import { FILTERS, openStage, patienceFor, type Stage } from "./stage.ts";
import { startTraffic } from "./traffic.ts";
import { cause, type Trouble } from "./troubles.ts";
import { within } from "./within.ts";

/** What happens, drawn from a seed. */
export interface Plan {
  readonly seed: number;
  readonly troubles: readonly Trouble[];
  /** Part of all datagrams lost, each way. */
  readonly loss: number;
  /** How often one packet may be lost, each way; absent: as often as chance has it. */
  readonly mostLosses?: number;
  /** Without troubles: acknowledgements before the end. */
  readonly acks: number;
}

/** What a plan is made of. */
export interface PlanOptions {
  /** Kinds of trouble, one after the other, so many times over. */
  readonly kinds?: readonly Trouble["is"][];
  readonly times?: number;
  readonly loss?: number;
  readonly mostLosses?: number;
  /** How long hangs and full disks last. Default one second. */
  readonly forMs?: number;
  /** Acknowledgements between two troubles, at most. Default 300. */
  readonly acks?: number;
}

/** What a run was. */
export interface Summary {
  readonly published: number;
  readonly acked: number;
  readonly received: number;
  readonly refused: number;
  readonly kills: number;
  /** Datagrams repeated after kills. */
  readonly replayed: number;
  /** MiB of the data folder at the end. */
  readonly disk: number;
  readonly datagrams: Readonly<Relay["counts"]>;
  /** MiB. */
  readonly rss: number;
  /** Milliseconds after the last publish until everything had arrived, and the longest in which nothing did. */
  readonly settling: { readonly took: number; readonly stood: number };
}

/** The plan of a seed. */
export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const { kinds = ["kill"], times = 5, loss = 0, forMs = 1_000, acks = 300 } = options;
  const random = draws(seed, "troubles");
  const troubles = Array.from({ length: times }, () => kinds).flat();
  return {
    seed,
    loss,
    ...(options.mostLosses !== undefined && { mostLosses: options.mostLosses }),
    acks,
    troubles: troubles.map((is) => ({
      is,
      afterAcks: random.between(1, random.chance(0.3) ? 20 : acks),
      thenMs: random.between(0, 15),
      forMs: is.startsWith("kill") && is !== "kill while full" ? random.between(0, 200) : forMs,
    })),
  };
}

/** Who watches a run. */
export interface Watching {
  /** Hears of each trouble. */
  readonly say?: (text: string) => void;
  /** Ends the run; it then rejects. */
  readonly signal?: AbortSignal;
  /** Milliseconds that it may take: less than the limit of its test, which keeps neither log nor data. Default 13 minutes. */
  readonly limitMs?: number;
}

const LIMIT_MS = 780_000;

/** Plays a plan and checks everything; what fails says its seed, its plan and where log and data lie. */
export async function play(plan: Plan, watching: Watching = {}): Promise<Summary> {
  const isHung = plan.troubles.some(({ is }) => is === "hang");
  const isFilled = plan.troubles.some(({ is }) => is.includes("full") || is === "no room at all");
  await using stage = await openStage({
    seed: plan.seed,
    ...(isHung && { main: fileURLToPath(new URL("./hanging-gateway.ts", import.meta.url)) }),
    ...(isFilled && { diskMiB: DISK_MIB }),
    // A lost datagram costs a second, in which nothing else of its channel moves.
    slowness: plan.loss > 0 ? 25 : 1,
  });
  const { book, ground, relay, coap } = stage;
  const cancel = (): void => book.fail(new Error("cancelled"));
  watching.signal?.addEventListener("abort", cancel);
  try {
    const { limitMs = LIMIT_MS } = watching;
    const settling = await within(run(stage, plan, watching), () => standing(stage), limitMs);
    return {
      published: book.sent.length,
      acked: book.acked,
      received: book.received,
      refused: book.sent.filter(({ is }) => is === "refused").length,
      kills: stage.kills.length,
      replayed: stage.replayed,
      disk: ground.most.disk,
      datagrams: {
        passed: relay.counts.passed + coap.relay.counts.passed,
        lost: relay.counts.lost + coap.relay.counts.lost,
        spared: relay.counts.spared + coap.relay.counts.spared,
        strange: relay.counts.strange + coap.relay.counts.strange,
      },
      rss: ground.most.rss,
      settling,
    };
  } catch (error) {
    if (watching.signal?.aborted === true) throw error;
    const said = error instanceof Error ? error.message : String(error);
    const where = ground.keep();
    // Who sent and got what, and when.
    const got = Object.fromEntries(Object.keys(FILTERS).map((party) => [party, book.got(party)]));
    const { kills, xmppKills } = stage;
    const nodes = Object.fromEntries(
      Object.entries(stage.nodes).map(([name, node]) => [name, node.status()]),
    );
    const datagrams = { nomq: relay.counts, coap: coap.relay.counts, nodes };
    writeFileSync(
      join(where, "book.json"),
      JSON.stringify({ kills, xmppKills, datagrams, sent: book.sent, got }),
    );
    throw new Error(`NOMQ_SEED=${plan.seed} ${JSON.stringify(plan)}; log and data: ${where}\n${said}`, {
      cause: error,
    });
  } finally {
    watching.signal?.removeEventListener("abort", cancel);
  }
}

/** How far a run has come that did not end. */
function standing({ book, kills, xmppKills, ground }: Stage): string {
  const open = book.sent.filter(({ is }) => is === "sent").map(({ id }) => id);
  return [
    `the end of a run with ${kills.length} kills and ${xmppKills.length} of the XMPP server`,
    `${book.acked} of ${book.sent.length} messages acknowledged, ${book.received} arrivals`,
    `the gateway is ${ground.isUp ? "up" : "down"}, ${open.length} have no answer: ${open.slice(0, 20).join(", ")}`,
  ].join("; ");
}

async function run(stage: Stage, plan: Plan, { say }: Watching): Promise<Summary["settling"]> {
  for (const relay of [stage.relay, stage.coap.relay]) {
    relay.loss = plan.loss;
    relay.mostLosses = plan.mostLosses ?? Number.POSITIVE_INFINITY;
  }
  using traffic = startTraffic(stage);
  if (plan.troubles.length === 0) await acked(stage, plan.acks);
  for (const trouble of plan.troubles) {
    await acked(stage, trouble.afterAcks);
    await new Promise((resolve) => setTimeout(resolve, trouble.thenMs));
    say?.(`${trouble.is} after ${stage.book.acked} acknowledgements of ${stage.book.sent.length} messages`);
    await cause(stage, trouble);
  }
  await traffic.end();
  return settle(stage);
}

function acked({ book }: Stage, more: number): Promise<void> {
  const at = book.acked + more;
  return book.until(() => book.acked >= at, { missing: () => `${at - book.acked} acknowledgements more` });
}

/** When a message was acknowledged, seen from the next kill. */
function whenOf({ kills }: Stage, { ackedAt = 0 }: Sent): string {
  const next = kills.findIndex((at) => at >= ackedAt);
  const last = kills.at(-1) ?? 0;
  return next < 0
    ? `acknowledged ${ackedAt - last} ms after the last kill`
    : `acknowledged ${(kills[next] ?? 0) - ackedAt} ms before kill ${next + 1}`;
}

/** Waits until everything that must arrive has, and looks at all of it. */
async function settle(stage: Stage): Promise<Summary["settling"]> {
  const { book, ground, relay } = stage;
  const parties = Object.keys(FILTERS);
  const settling = openDwindling();
  const lacking = (): readonly string[] => lackingAt(stage, parties);
  await book.until(() => settling.note(lacking().length) === 0, {
    missing: () => `${lacking().length} are missing: ${lacking().slice(0, 20).join("; ")}`,
    within: patienceFor(relay),
    since: () => settling.lessAt,
  });
  const { tookMs, stoodMs } = settling;
  await answered(stage);
  const faults = [
    ...eventFaults(book, parties),
    ...ledgerFaults(stage, await ground.attachments()),
    ...clientFaults(stage),
  ];
  if (faults.length > 0) throw new Error(faults.join("\n"));
  await ground.stop();
  return { took: Math.round(tookMs), stood: Math.round(stoodMs) };
}

/** Who holds states. */
const HOLDERS: readonly string[] = Object.keys(FILTERS).filter((party) =>
  FILTERS[party]?.some((filter) => filter.startsWith("r/")),
);

function lackingAt(stage: Stage, parties: readonly string[]): readonly string[] {
  const { book } = stage;
  return [
    ...parties.flatMap((party) =>
      missingAt(book, party).map((one) => `${party}: ${one.id} (${whenOf(stage, one)})`),
    ),
    ...HOLDERS.flatMap((party) =>
      staleAt(book, party, calmSinceOf(stage, party)).map((fault) => `${party}: ${fault}`),
    ),
  ];
}

/** What has arrived is still open where the answer was lost. */
async function answered({ ground, relay }: Stage): Promise<void> {
  const open = openDwindling();
  for (;;) {
    const waiting = (await ground.attachments()).filter(({ ledger }) => ledger.pending > 0);
    open.note(waiting.reduce((sum, { ledger }) => sum + ledger.pending, 0));
    if (waiting.length === 0) return;
    if (performance.now() - open.lessAt >= patienceFor(relay))
      throw new Error(`still pending: ${JSON.stringify(waiting)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
