import { expect, test } from "vitest";
import type { PublishOutcome, Qos } from "../../src/index.ts";
import { createWorld, text, until, type World } from "../node/node-room.ts";
import { seededBytes } from "./faults.ts";

const AT = { one: { host: "10.1.0.1", port: 8888 }, two: { host: "10.1.0.2", port: 8888 } } as const;

/** Two nodes that know each other, and a datagram of two that somebody has held back. */
async function openRoaming(world: World, known: boolean) {
  const held: Uint8Array[] = [];
  const one = await world.node({
    transport: world.network.open(AT.one),
    random: seededBytes(1),
    ...(known && { peers: [{ name: "two", address: AT.two, kind: "node" as const }] }),
  });
  const two = await world.node({
    transport: world.network.open(AT.two),
    random: seededBytes(2),
    peers: [{ name: "one", address: AT.one, kind: "node" }],
  });
  void two.node.publish("a/b", text("first"), { to: "one" });
  await world.clock.advance(100);
  world.network.change({
    drop: (datagram, from) => from.host === AT.two.host && held.push(new Uint8Array(datagram)) > 0,
  });
  void two.node.publish("a/b", text("held back"), { to: "one" });
  await world.clock.advance(1000);
  world.network.change({ drop: () => false });
  return { one, two, held };
}

const CASES = [true, false].flatMap((known) => ([1, 2] as const).map((qos): [boolean, Qos] => [known, qos]));

test.each(CASES)(
  "a held-back packet sent on from elsewhere (peer configured: %s) does not keep a QoS %i message from its peer for ever",
  async (known, qos) => {
    const world = createWorld();
    const { one, two, held } = await openRoaming(world, known);
    const outcomes: PublishOutcome[] = [];
    const publish = (to: string | typeof AT.two): void =>
      void one.node.publish("a/b", text(`m${outcomes.length}`), { to, qos }).then((is) => outcomes.push(is));
    publish(known ? "two" : AT.two);
    const attacker = world.network.open({ host: "10.66.6.6", port: 666 });
    for (const datagram of held) await attacker.send(datagram, AT.one);
    await until(world.clock, () => outcomes.length === 1, 300_000);
    expect(outcomes).toMatchObject([{ is: "delivered" }]);
    for (const datagram of held) await attacker.send(datagram, AT.one);
    publish(known ? "two" : AT.two);
    await until(world.clock, () => outcomes.length === 2, 300_000);
    expect(outcomes[1]).toMatchObject({ is: "delivered" });
    expect(two.texts()).toEqual(["m0", "m1"]);
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  },
);

test("a peer that is written to elsewhere since a packet of it came from there is found again when it speaks", async () => {
  const world = createWorld();
  const { one, two, held } = await openRoaming(world, true);
  const attacker = world.network.open({ host: "10.66.6.6", port: 666 });
  for (const datagram of held) await attacker.send(datagram, AT.one);
  await world.clock.advance(10);
  const outcomes: PublishOutcome[] = [];
  void one.node.publish("a/b", text("m"), { to: "two", qos: 2 }).then((is) => outcomes.push(is));
  await world.clock.advance(7000);
  void two.node.publish("a/b", text("I am here"), { to: "one" });
  await until(world.clock, () => outcomes.length === 1, 300_000);
  expect(outcomes).toMatchObject([{ is: "delivered" }]);
  expect(two.texts()).toEqual(["m"]);
  await world.stop();
});

test("what is written to where no one answers has an outcome all the same", async () => {
  const world = createWorld();
  const { one, held } = await openRoaming(world, true);
  const attacker = world.network.open({ host: "10.66.6.6", port: 666 });
  for (const datagram of held) await attacker.send(datagram, AT.one);
  world.network.change({ drop: (_, from) => from.host === AT.two.host });
  const outcomes: PublishOutcome[] = [];
  void one.node.publish("a/b", text("m"), { to: "two", qos: 2 }).then((is) => outcomes.push(is));
  await until(world.clock, () => outcomes.length === 1, 300_000);
  expect(outcomes).toMatchObject([{ is: "unanswered" }]);
  await world.stop();
});

test("a configured peer that only answers is found again, though it was last heard elsewhere", async () => {
  const world = createWorld();
  const { one, two, held } = await openRoaming(world, true);
  const attacker = world.network.open({ host: "10.66.6.6", port: 666 });
  for (const datagram of held) await attacker.send(datagram, AT.one);
  await world.clock.advance(10);
  expect(one.node.peer("two")?.address.host).toBe("10.66.6.6");
  // It says nothing of itself: only what answers gets through.
  const sent = two.node.status().sent;
  const outcomes: PublishOutcome[] = [];
  for (let times = 0; times < 3 && outcomes.at(-1)?.is !== "delivered"; times += 1) {
    void one.node.publish("a/b", text("m"), { to: "two", qos: 1, ttl: 10 }).then((is) => outcomes.push(is));
    await until(world.clock, () => outcomes.length > times, 20_000);
  }
  expect(outcomes.map(({ is }) => is)).toEqual(["expired", "delivered"]);
  expect(two.node.status().sent).toBe(sent + 1);
  expect(one.node.peer("two")?.address).toEqual(AT.two);
  await world.stop();
});
