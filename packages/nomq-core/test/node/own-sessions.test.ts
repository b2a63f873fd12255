import { describe, expect, test } from "vitest";
import { decodePacket, type Endpoint, type Packet, type PublishOutcome } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { vectorKey, vectorRing } from "../vectors.ts";
import { createRoom, createWorld, type Room, stateOf, text, until, type World } from "./node-room.ts";

/** A place on the network that keeps what it gets and answers nothing. */
function sinkOn(world: World): { at: Endpoint; packets: Packet[]; datagrams: Uint8Array[]; send: Send } {
  const transport = world.network.open();
  const packets: Packet[] = [];
  const datagrams: Uint8Array[] = [];
  transport.onDatagram((datagram) => {
    datagrams.push(datagram);
    const decoded = decodePacket(datagram, vectorRing());
    if (decoded.ok) packets.push(decoded.packet);
  });
  return { at: transport.local, packets, datagrams, send: (one, to) => transport.send(one, to) };
}
type Send = (datagram: Uint8Array, to: Endpoint) => Promise<void>;

const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };

describe("a session of our own", () => {
  test("is another after more than 300 s, when a message begins and not before", async () => {
    const world = createWorld();
    const room = await world.node({
      peers: [{ name: "n", address: { host: "10.9.0.1", port: 1 }, kind: "node" }],
    });
    const sink = sinkOn(world);
    const say = () => room.node.publish("a/b", text("m"), { to: sink.at });
    await say();
    const first = room.node.sessionId;
    await world.clock.advance(300_000);
    await say();
    expect(room.node.sessionId).toBe(first);
    await world.clock.advance(1);
    expect(room.node.sessionId).toBe(first);
    void say();
    await world.clock.advance(1000);
    expect(room.node.sessionId).not.toBe(first);
    expect(sink.packets.at(-1)?.sessionId).toBe(room.node.sessionId);
    expect(sink.packets[0]?.sessionId).toBe(first);
    await world.stop();
  });

  test("its length is configurable", async () => {
    const world = createWorld();
    const room = await world.node({ sessionRenewal: 1000 });
    const first = room.node.sessionId;
    await world.clock.advance(1001);
    await room.node.publish("a/b", text("m"), { to: sinkOn(world).at });
    expect(room.node.sessionId).not.toBe(first);
    await world.stop();
  });

  test("goes on in a transfer that began with it, so that a retransmission is delivered once", async () => {
    const world = createWorld();
    const to = await world.node();
    const from = await world.node({
      sessionRenewal: 500,
      peers: [{ name: "to", address: at(to), kind: "node" }],
    });
    world.network.change({ drop: (_, source) => source.host === at(to).host });
    let outcome: PublishOutcome | undefined;
    void from.node.publish("a/b", text("m"), { qos: 2, to: "to" }).then((value) => {
      outcome = value;
    });
    await world.clock.advance(5000);
    void from.node.publish("a/b", text("other"), { to: "to" });
    world.network.change({ drop: () => false });
    await until(world.clock, () => outcome !== undefined, 600_000);
    expect(outcome).toMatchObject({ is: "delivered" });
    expect(outcome?.sessionId).not.toBe(from.node.sessionId);
    expect(to.texts()).toEqual(["m", "other"]);
    await world.stop();
  });

  test("is named by an outcome, and a transfer continued under it arrives once after any time", async () => {
    const world = createWorld();
    const to = await world.node();
    const from = await world.node({ peers: [{ name: "to", address: at(to), kind: "node" }] });
    world.network.change({ drop: (_, source) => source.host === at(to).host });
    const finish = async (promise: Promise<PublishOutcome>): Promise<PublishOutcome> => {
      let done = false;
      void promise.then(() => {
        done = true;
      });
      await until(world.clock, () => done, 600_000);
      return promise;
    };
    const first = await finish(from.node.publish("a/b", text("m"), { qos: 2, to: "to" }));
    expect(first).toMatchObject({ is: "unanswered" });
    world.network.change({ drop: () => false });
    await world.clock.advance(3_600_000);
    const { packetId, sessionId } = first;
    await from.node.publish("a/b", text("between"), { to: "to" });
    expect(from.node.sessionId).not.toBe(sessionId);
    const again = from.node.publish("a/b", text("m"), { qos: 2, to: "to", packetId, sessionId });
    expect(await finish(again)).toMatchObject({ is: "delivered", packetId, sessionId });
    expect(to.texts()).toEqual(["m", "between"]);
    const strange = { packetId, sessionId: sessionId ^ 1, to: "to" };
    expect(await from.node.publish("a/b", text("m"), strange)).toMatchObject({
      is: "refused",
      reason: "session-unknown",
    });
    await world.stop();
  });
});

describe("our own packets that come back are `own`", () => {
  test("also those of a session that ended, for 28 h, and after a restart with the state kept", async () => {
    const world = createWorld();
    const room = await world.node();
    const sink = sinkOn(world);
    await room.node.publish("a/b", text("m"), { to: sink.at });
    await world.clock.advance(301_000);
    await room.node.publish("a/b", text("m"), { to: sink.at });
    await world.clock.advance(0);
    const copies = [...sink.datagrams];
    for (const copy of copies) await sink.send(copy, at(room));
    await settle();
    expect(room.node.status().rejected.own).toBe(copies.length);
    await room.node.stop();

    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
    await next.node.restore(stateOf(room));
    await next.node.start();
    for (const copy of copies) await sink.send(copy, transport.local);
    await settle();
    expect(next.texts()).toEqual([]);
    expect(next.node.status().rejected.own).toBe(copies.length);
    await next.node.stop();
    await world.stop();
  });

  test("is known after a crash too: an id is stored before its first packet leaves", async () => {
    const world = createWorld();
    const room = await world.node();
    const sink = sinkOn(world);
    await room.node.publish("a/b", text("m"), { to: sink.at });
    await world.clock.advance(300_500);
    await world.clock.advance(2000);
    const before = new Map(room.remembered);
    await room.node.publish("a/b", text("m"), { to: sink.at });
    await world.clock.advance(0);
    // The process ends here: what was stored before the renewal is all there is.
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
    await next.node.restore(stateOf({ ...room, remembered: before }));
    await next.node.start();
    for (const copy of sink.datagrams) await sink.send(copy, transport.local);
    await settle();
    expect(next.texts()).toEqual([]);
    expect(next.node.status().rejected.own).toBe(sink.datagrams.length);
    await next.node.stop();
    await world.stop();
  });

  test("what is kept of them is bounded: ids unused for 28 h are deleted", async () => {
    const world = createWorld();
    const room = await world.node({ sessionRenewal: 60_000 });
    const { at: to } = sinkOn(world);
    const count = (): number => [...room.remembered.keys()].filter((key) => key.startsWith("o/")).length;
    for (let hour = 0; hour < 30; hour += 1) {
      await room.node.publish("a/b", text("m"), { to });
      await world.clock.advance(3_600_000);
    }
    expect(count()).toBeGreaterThanOrEqual(28);
    expect(count()).toBeLessThanOrEqual(31);
    await world.stop();
  });
});

test("a device that draws an id that was ours is not taken for us: it does not set our mark", async () => {
  const world = createWorld();
  const room = await world.node();
  const id = Buffer.alloc(4);
  id.writeUInt32BE(room.node.sessionId);
  let drawn = 0;
  const random = (bytes: number): Uint8Array => {
    drawn += 1;
    return drawn === 1 ? id : new Uint8Array(bytes).fill(drawn);
  };
  const device = world.device({ random });
  expect(device.device.sessionId).toBe(room.node.sessionId);
  await device.publish({ channel: "a/b", message: "m" }, at(room));
  await settle();
  expect(room.texts()).toEqual(["m"]);
  await world.stop();
});
