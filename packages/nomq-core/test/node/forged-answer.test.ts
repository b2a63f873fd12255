import { expect, test } from "vitest";
import { channelId } from "../../src/packet/channel-id.ts";
import { encodePacket } from "../../src/packet/encode.ts";
import { createKeyRing } from "../../src/packet/key-ring.ts";
import { pooledRandom } from "../../src/packet/random.ts";
import { vectorKey } from "../vectors.ts";
import { createWorld, text } from "./node-room.ts";

/** An ACK as any holder of the group key can make it. */
function acknowledgement(packetId: number, timestamp: number): Uint8Array {
  const ring = createKeyRing([vectorKey()]);
  const [key] = ring.keys;
  if (key === undefined) throw new Error("no key");
  const head = { flags: 1, packetId, sessionId: 77, ttl: 3600, timestamp, channelId: channelId("a/b") };
  return encodePacket({ type: "ACK", ...head, acknowledged: packetId }, key, {
    dialect: "micropython",
    random: pooledRandom,
  });
}

test.each([
  ["the address and port the message went to", 9001, "delivered"],
  ["another port, as of a neighbour behind the same router", 9002, "expired"],
])("an ACK from %s", async (_from, port, outcome) => {
  const world = createWorld();
  const { node } = await world.node();
  const ids: number[] = [];
  const target = world.network.open({ host: "10.0.0.9", port: 9001 });
  target.onDatagram((datagram) => void ids.push(Buffer.from(datagram).readUInt32BE(5)));
  const from = port === 9001 ? target : world.network.open({ host: "10.0.0.9", port });
  const ended = node.publish("a/b", text("x"), { to: target.local, qos: 1, ttl: 5 });
  await world.clock.advance(10);
  const gateway = node.local();
  if (gateway === undefined) throw new Error("not started");
  await from.send(acknowledgement(ids[0] ?? 0, Math.floor(world.clock.now() / 1000)), gateway);
  await world.clock.advance(10_000);
  expect(await ended).toMatchObject({ is: outcome });
  expect(node.status().accepted).toBe(1);
  await world.stop();
});
