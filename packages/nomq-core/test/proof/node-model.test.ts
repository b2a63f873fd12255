import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorld } from "../node/node-room.ts";
import type { Actor, Job } from "./model/actor.ts";
import { type Belief, commands, healAll, openStage, type Stage } from "./model/commands.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const RUNS = isLong ? 2000 : 40;
const SEED = Number(process.env["NOMQ_SEED"] ?? 41);
/** Of a failing run, as fast-check prints them: NOMQ_PATH its `path`, NOMQ_REPLAY its `replayPath`. */
const path = process.env["NOMQ_PATH"];
const replayPath = process.env["NOMQ_REPLAY"];

/** Two hours of a good network are enough for whatever has not got through. */
const PATIENCE_MS = 2 * 3600 * 1000;

async function comeToRest(belief: Belief, stage: Stage): Promise<void> {
  await healAll(belief, stage);
  const { clock } = stage.world;
  const jobs = Object.values(stage.actors).flatMap((actor) => actor.jobs);
  for (let passed = 0; passed < PATIENCE_MS && !jobs.every((job) => job.ended()); passed += 10_000) {
    await clock.advance(10_000);
  }
  await clock.advance(10_000);
  const open = jobs.filter((job) => !job.ended()).map(({ id, outcomes }) => ({ id, last: outcomes.at(-1) }));
  expect(open, "never ended on a good network").toEqual([]);
}

/** What the application of the other side may have of a message. */
function checkJob(job: Job, copies: number): void {
  const said = `${job.id} at QoS ${job.qos}: ${JSON.stringify(job.outcomes)}, taken ${copies} times`;
  const tries = job.outcomes.filter(({ sent }) => sent).length;
  if (tries === 0) expect(copies, said).toBe(0);
  const most = job.mayDouble ? 2 : job.qos === 1 ? tries : 1;
  expect(copies, said).toBeLessThanOrEqual(most);
  if (job.qos === 0) return;
  const last = job.outcomes.at(-1);
  if (last?.is === "delivered") expect(copies, said).toBeGreaterThanOrEqual(1);
  if (job.ttl === undefined) expect(last?.is, said).toBe("delivered");
}

function checkSide(from: Actor, to: Actor): void {
  const copies = Map.groupBy(to.taken, ({ id }) => id);
  for (const job of from.jobs) {
    const arrived = copies.get(job.id) ?? [];
    checkJob(job, arrived.length);
    const { channel, qos, retain } = job;
    for (const { message } of arrived) expect(message).toMatchObject({ channel, qos, retain });
  }
  const ids = new Set([...from.jobs.map(({ id }) => id), `${from.name}:live`]);
  expect([...copies.keys()].filter((id) => !ids.has(id))).toEqual([]);
  expect(to.handedTwice, "handed over again in one life").toEqual([]);
}

test(`whatever is published, cut, healed, replayed, restarted and set, in ${RUNS} runs: two nodes keep what they promise`, {
  timeout: 1_800_000,
}, async () => {
  const shown = { messages: 0, triedAgain: 0, taken: 0 };
  const runs = fc.commands(commands, { maxCommands: 40, size: "+1", ...(replayPath && { replayPath }) });
  const property = fc.asyncProperty(runs, fc.integer({ min: 1, max: 1_000_000 }), async (steps, seed) => {
    const world = createWorld({ seed });
    const stage = await openStage(world, seed);
    const belief: Belief = { published: 0, calm: true, interest: new Map() };
    try {
      await fc.asyncModelRun(() => ({ model: belief, real: stage }), steps);
      await comeToRest(belief, stage);
      const { one, two } = stage.actors;
      checkSide(one, two);
      checkSide(two, one);
      for (const { jobs, taken } of [one, two]) {
        shown.messages += jobs.length;
        shown.taken += taken.length;
        shown.triedAgain += jobs.filter(({ outcomes }) => outcomes.length > 1).length;
      }
    } finally {
      for (const actor of Object.values(stage.actors)) await actor.stop();
    }
    // Those of publishers that are not through when a run fails are not the nodes'.
    expect(world.clock.pending(), "timers after stop").toBe(0);
    await world.stop();
  });
  await fc.assert(property, { numRuns: RUNS, seed: SEED, ...(path && { path }), verbose: 1 });
  if (process.env["NOMQ_SHOW"] !== undefined) process.stderr.write(`${JSON.stringify(shown)}\n`);
  // Else the runs were too kind to prove anything.
  if (path === undefined) {
    expect(shown.messages).toBeGreaterThan(4 * RUNS);
    expect(shown.triedAgain).toBeGreaterThan(RUNS / 20);
  }
});
