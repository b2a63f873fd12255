import { describe, expect, test } from "vitest";
import type { Delivery, Message, Outcome } from "../../src/index.ts";
import { createMappingLosses } from "../../src/mapping.ts";
import { createOutbound } from "../../src/nomq-bridge/outbound.ts";
import { createWorld, type Room, text, until, type World } from "../node/node-room.ts";

const message: Message = {
  id: "00000000000000000000000000000001",
  seq: 1,
  channel: "a/b",
  payload: text("m"),
  qos: 2,
  retain: false,
  priority: 0,
  publishedAt: 0,
  origin: "test",
};

function delivery(over: Partial<Delivery> = {}): Delivery {
  return { attempt: 1, cause: "live", signal: new AbortController().signal, ...over };
}

async function outcomeOf(world: World, call: Promise<Outcome>): Promise<Outcome> {
  let outcome: Outcome | undefined;
  void call.then((value) => {
    outcome = value;
  });
  await until(world.clock, () => outcome !== undefined, 600_000);
  return call;
}

async function towards(kind: "device" | "node"): Promise<{ world: World; room: Room }> {
  const world = createWorld();
  const address = { host: "10.0.0.9", port: 9 };
  return { world, room: await world.node({ peers: [{ name: "peer", address, kind }] }) };
}

describe("a QoS 2 call repeated", () => {
  test("to a device, after it may have been sent: uncertain, and nothing leaves", async () => {
    const { world, room } = await towards("device");
    const out = createOutbound(room.node, { to: "peer", binary: "refuse", losses: createMappingLosses() });
    const outcome = await outcomeOf(world, out.deliver(message, delivery({ attempt: 2 })));
    expect(outcome).toMatchObject({ is: "uncertain" });
    expect(room.node.status().sent).toBe(0);
    await world.stop();
  });

  test("to a device, when the first call is known to have sent nothing: it is sent", async () => {
    const { world, room } = await towards("device");
    const out = createOutbound(room.node, { to: "peer", binary: "refuse", losses: createMappingLosses() });
    const aborted = delivery({ signal: AbortSignal.abort() });
    expect(await outcomeOf(world, out.deliver(message, aborted))).toMatchObject({ is: "retry" });
    const again = await outcomeOf(world, out.deliver(message, delivery({ attempt: 2 })));
    expect(again).toMatchObject({ is: "uncertain", reason: "no PUBREC" });
    expect(room.node.status().sent).toBeGreaterThan(0);
    await world.stop();
  });

  test("to a node: goes on under the same packet id, and is uncertain when that is not known any more", async () => {
    const { world, room } = await towards("node");
    const out = createOutbound(room.node, { to: "peer", binary: "refuse", losses: createMappingLosses() });
    expect(await outcomeOf(world, out.deliver(message, delivery()))).toMatchObject({ is: "retry" });
    const ids = new Set<string>();
    const peer = world.network.open({ host: "10.0.0.9", port: 9 });
    peer.onDatagram((datagram) => void ids.add(Buffer.from(datagram.subarray(5, 9)).toString("hex")));
    void out.deliver(message, delivery({ attempt: 2 }));
    await world.clock.advance(10_000);
    expect(ids.size).toBe(1);
    const reborn = createOutbound(room.node, { to: "peer", binary: "refuse", losses: createMappingLosses() });
    expect(await outcomeOf(world, reborn.deliver(message, delivery({ attempt: 2 })))).toMatchObject({
      is: "uncertain",
    });
    await world.stop();
  });

  test("aborted on its way to a device: uncertain within the second", async () => {
    const { world, room } = await towards("device");
    const out = createOutbound(room.node, { to: "peer", binary: "refuse", losses: createMappingLosses() });
    const abort = new AbortController();
    const call = out.deliver(message, delivery({ signal: abort.signal }));
    await world.clock.advance(1500);
    abort.abort();
    expect(await outcomeOf(world, call)).toMatchObject({ is: "uncertain", reason: "aborted" });
    await world.stop();
  });
});
