import {
  checkArrivals,
  checkPublishes,
  checkRetained,
  checkRows,
  completeReceipts,
  recount,
} from "./checks.ts";
import { checkCopies } from "./copies.ts";
import { attach, change, cut, detach, forget, pause, repair, resume } from "./peer-steps.ts";
import { echo, publish, release, repeat } from "./publish-steps.ts";
import { afterwards, crash, restart } from "./restarts.ts";
import { FILTERS, type Step } from "./steps.ts";
import { createWorld, type Ground, memoryGround, type World } from "./world.ts";

const LOOK_MS = 0.05;

/** Plays the steps, checks after each, comes to rest and checks again. Throws at the first rule broken. */
export async function play(
  steps: readonly Step[],
  make: () => Promise<Ground> = memoryGround,
): Promise<World> {
  const { now } = performance;
  let looks = 0;
  // The hub yields by real time: here each look at it takes as long, so that a run is the same on every machine.
  performance.now = () => {
    looks += 1;
    return looks * LOOK_MS;
  };
  try {
    await using ground = await make();
    return await playAll(steps, ground);
  } finally {
    performance.now = now;
  }
}

async function playAll(steps: readonly Step[], ground: Ground): Promise<World> {
  const world = await createWorld(ground);

  const healthy = { store: true };
  for (const [at, step] of steps.entries()) {
    await take(world, step, healthy);
    await world.settle(step.turns);
    await check(world, healthy.store && step.turns === 6, `step ${at} (${step.do})`);
  }
  await rest(world);
  await atRest(world);
  await afterwards(world);
  complain(world, "after the last restart");
  return world;
}

async function check(world: World, quiet: boolean, when: string): Promise<void> {
  world.model.settle();
  checkRows(world);
  checkPublishes(world);
  if (quiet) await recount(world);
  complain(world, when);
}

function complain(world: World, when: string): void {
  if (world.problems.length > 0) throw new Error(`${when}: ${world.problems.join("\n")}`);
}

async function take(world: World, step: Step, healthy: { store: boolean }): Promise<void> {
  switch (step.do) {
    case "publish":
      return publish(world, step);
    case "repeat":
      return repeat(world, step.back);
    case "release":
      return release(world, step.back);
    case "echo":
      return echo(world, step.peer);
    case "attach":
      return attach(
        world,
        step.peer,
        step.filters?.map((at) => FILTERS[at] ?? "#"),
      );
    case "gather":
      return world.peers.forEach((peer, at) => {
        attach(world, at, peer.options.durable ? undefined : ["#"]);
      });
    case "detach":
      return detach(world, step.peer);
    case "cut":
      return cut(world, step.peer);
    case "pause":
      return pause(world, step.peer);
    case "resume":
      return resume(world, step.peer);
    case "forget":
      return forget(world, step.peer);
    case "repair":
      return repair(world, step.peer, step.filter === undefined ? undefined : FILTERS[step.filter]);
    case "filters":
      return change(world, step.peer, { add: FILTERS[step.add] ?? "#", remove: FILTERS[step.remove] ?? "#" });
    case "mode": {
      const peer = world.peers[step.peer];
      const broken = step.mode === "lose-send" || step.mode === "lose-answer" || step.mode === "reject";
      // An ordered connection fails as a whole: that is the step `cut`.
      if (peer !== undefined) peer.toy.mode = peer.options.ordered === true && broken ? "late" : step.mode;
      return;
    }
    case "answer":
      return [...(world.peers[step.peer]?.open ?? [])][step.nth]?.answer();
    case "store":
      healthy.store = step.how === "heal";
      if (step.how === "heal") world.store.heal();
      else world.store[step.how](step.scope);
      return;
    case "crash":
      healthy.store = true;
      return crash(world, step.last);
    case "restart":
      healthy.store = true;
      return restart(world);
    case "advance":
      return world.clock.advance(step.ms);
    case "step":
      world.clock.step(step.ms);
      if (Math.abs(step.ms) <= 30_000) world.smallSteps += Math.abs(step.ms);
      else world.bigSteps = true;
      return;
  }
}

/** All is well again, everybody is there, and time passes until nothing moves. */
async function rest(world: World): Promise<void> {
  world.store.heal();
  await world.settle();
  for (const [at, peer] of world.peers.entries()) {
    peer.toy.mode = "well";
    resume(world, at);
    for (const call of [...peer.open]) call.answer();
  }
  for (let round = 0; round < 4; round += 1) {
    await world.clock.advance(7_000);
    for (const [at, peer] of world.peers.entries()) {
      if (peer.state === "away") attach(world, at, undefined);
      resume(world, at);
      for (const call of [...peer.open]) call.answer();
    }
  }
  await world.clock.advance(600_000);
  await world.settle(20);
  const calls = world.peers.map((peer) => peer.sent.length).join();
  await world.clock.advance(60_000);
  if (calls !== world.peers.map((peer) => peer.sent.length).join()) {
    world.problems.push("calls go on although nothing is pending");
  }
}

async function atRest(world: World): Promise<void> {
  await completeReceipts(world);
  await check(world, true, "at rest");
  checkPublishes(world);
  for (const { name, ledger, state } of world.run.hub.attachments()) {
    if (ledger.pending > 0) world.problems.push(`${name} (${state}) has ${ledger.pending} pending at rest`);
  }
  for (const publish of world.publishes) {
    if (publish.receipt === undefined && !publish.lost) {
      world.problems.push(`publish ${publish.number} has no receipt at rest`);
    }
  }
  const state = await checkRetained(world, "at rest");
  checkCopies(world, state);
  checkArrivals(world);
  complain(world, "at rest");
}
