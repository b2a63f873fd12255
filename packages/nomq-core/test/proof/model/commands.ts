import fc from "fast-check";
import { expect } from "vitest";
import type { Qos } from "../../../src/index.ts";
import type { World } from "../../node/node-room.ts";
import { type Actor, AT, CHANNELS, createActor, MOST_HEARD, type Name } from "./actor.ts";

/** What the oracle believes; it knows nothing of packets. */
export interface Belief {
  published: number;
  /** Nothing is cut or lost. */
  calm: boolean;
  /** Per subscriber and channel: what holds after some minutes of calm. */
  readonly interest: Map<string, "on" | "off" | "unsure">;
}

/** What commands act on. */
export interface Stage {
  readonly world: World;
  readonly actors: Readonly<Record<Name, Actor>>;
  readonly cut: Set<Name>;
}

type Command = fc.AsyncCommand<Belief, Stage, false>;

/** Both nodes, running, having heard each other. */
export async function openStage(world: World, seed: number): Promise<Stage> {
  const actors = { one: createActor(world, "one", seed), two: createActor(world, "two", seed) };
  const stage: Stage = { world, actors, cut: new Set() };
  world.network.change({
    drop: (_, from) => [...stage.cut].some((name) => AT[name].host === from.host),
  });
  for (const actor of Object.values(actors)) await actor.start();
  for (const actor of Object.values(actors)) {
    actor.publish({ id: `${actor.name}:hello`, channel: "a/b", qos: 1, retain: false, ttl: undefined });
  }
  await world.clock.advance(10_000);
  return stage;
}

/** A command that is always possible. */
function command(said: string, run: (belief: Belief, stage: Stage) => Promise<void> | void): Command {
  return {
    check: () => true,
    run: async (belief, stage) => run(belief, stage),
    toString: () => said,
  };
}

const name = fc.constantFrom<Name>("one", "two");
const channel = fc.constantFrom(...CHANNELS);

const publish = fc
  .record({
    from: name,
    channel,
    qos: fc.constantFrom<Qos>(0, 1, 2),
    retain: fc.boolean(),
    ttl: fc.constantFrom(undefined, undefined, 0, 3, 60),
  })
  .map(({ from, ...order }) =>
    command(`publish(${from}, ${order.channel}, qos ${order.qos}, ttl ${order.ttl})`, (belief, stage) => {
      belief.published += 1;
      stage.actors[from].publish({ ...order, id: `${from}:${belief.published}` });
    }),
  );

const interest = fc.record({ who: name, channel, wanted: fc.boolean() }).map(({ who, channel: of, wanted }) =>
  command(`${wanted ? "subscribe" : "unsubscribe"}(${who}, ${of})`, async (belief, stage) => {
    const settled = wanted ? "on" : "off";
    // UNSUBSCRIBE is said once: on a bad network it may be lost.
    belief.interest.set(`${who} ${of}`, wanted || belief.calm ? settled : "unsure");
    await stage.actors[who].subscribe(of, wanted);
  }),
);

const restart = name.map((who) =>
  command(`restart(${who})`, async (_, { actors, world }) => {
    await actors[who].stop();
    await world.clock.advance(500);
    await actors[who].start();
  }),
);

const MINUTE = 60_000;
const step = fc
  .record({
    who: name,
    ms: fc.constantFrom(-6 * 60 * MINUTE, -7 * MINUTE, -20_000, 900, 40_000, 47 * MINUTE, 300 * MINUTE),
  })
  .map(({ who, ms }) =>
    command(`step(${who}, ${ms} ms)`, async (belief, { world, actors }) => {
      const isQuiet = Object.values(actors).every(({ jobs }) => jobs.every((job) => job.ended()));
      if (ms > 30_000 && !(isQuiet && belief.calm)) return;
      actors[who].step(ms);
      if (ms <= 30_000) return;
      // A step forward may have been a sleep: until the next answer, copies go out for either clock, and with loss each
      // side may come to follow another one. A known gap, which needs the step, the loss and a transfer at once.
      belief.published += 1;
      const order = { channel: "c", qos: 1, retain: false, ttl: undefined } as const;
      actors[who].publish({ ...order, id: `${who}:${belief.published}` });
      await world.clock.advance(5000);
    }),
  );

const wait = fc
  .constantFrom(50, 1000, 7000, 45_000, 310_000)
  .map((ms) => command(`wait(${ms} ms)`, (_, { world }) => world.clock.advance(ms)));

const cut = name.map((who) =>
  command(`cut(${who})`, (belief, stage) => {
    belief.calm = false;
    stage.cut.add(who);
  }),
);

const worsen = fc
  .record({ loss: fc.constantFrom(0.2, 0.6), delayMs: fc.constantFrom<[number, number]>([0, 30], [0, 2500]) })
  .map((how) =>
    command(`worsen(${JSON.stringify(how)})`, (belief, { world }) => {
      belief.calm = false;
      world.network.change({ ...how, duplicate: 0.2, reorder: 0.3, holdMs: 1500 });
    }),
  );

const heal = fc.constant(command("heal", (belief, stage) => healAll(belief, stage)));

/** The network does its best again; what it still holds arrives. */
export async function healAll(belief: Belief, { world, cut: cuts }: Stage): Promise<void> {
  cuts.clear();
  world.network.change({ loss: 0, duplicate: 0, reorder: 0, delayMs: 0 });
  await world.clock.advance(5000);
  belief.calm = true;
}

/** Somebody sends again what he has heard, from anywhere: nothing of it may be taken. */
const replay = fc.record({ to: name, from: fc.nat({ max: MOST_HEARD }) }).map((what) =>
  command(`replay(${what.to}, from datagram ${what.from})`, async (_, { world, actors }) => {
    // What is under way is no replay yet.
    await world.clock.advance(5000);
    const { heard } = actors[what.to];
    const some = heard.slice(what.from % Math.max(1, heard.length)).slice(0, 40);
    const { other } = actors[what.to];
    const mayDouble = (id: string): boolean =>
      actors[other].jobs.some((job) => job.id === id && job.mayDouble);
    const before = actors[what.to].taken.length;
    await using attacker = world.network.open();
    for (const datagram of some) await attacker.send(datagram, AT[what.to]);
    await world.clock.advance(0);
    const fresh = actors[what.to].taken.slice(before).map(({ id }) => id);
    const known = new Set(actors[what.to].taken.slice(0, before).map(({ id }) => id));
    expect(
      fresh.filter((id) => known.has(id) && !mayDouble(id)),
      "taken again from a replay",
    ).toEqual([]);
  }),
);

/** Who has asked is sent to; who has not is not. */
const checkInterest = fc.record({ who: name, channel }).map(({ who, channel: of }) =>
  command(`checkInterest(${who}, ${of})`, async (belief, stage) => {
    const state = belief.interest.get(`${who} ${of}`) ?? "off";
    if (!belief.calm || state === "unsure") return;
    // SUBSCRIBE is said again every minute.
    await stage.world.clock.advance(130_000);
    const publisher = stage.actors[stage.actors[who].other];
    const outcome = await publisher
      .room()
      .node.publish(of, new Uint8Array(Buffer.from(`${publisher.name}:live`)));
    await stage.world.clock.advance(0);
    expect(outcome).toMatchObject(
      state === "on" ? { is: "delivered" } : { is: "refused", reason: "no-subscriber" },
    );
  }),
);

/** Everything that can happen; what stands twice happens more often. */
export const commands: fc.Arbitrary<Command>[] = [
  ...[
    publish,
    publish,
    publish,
    wait,
    wait,
    interest,
    restart,
    step,
    cut,
    heal,
    worsen,
    replay,
    checkInterest,
  ],
];
