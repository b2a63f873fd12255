import { describe, expect, test } from "vitest";
import { text } from "../node/node-room.ts";
import { GATEWAY, openBridge, outcomeAt, publish, pump, pumpDevice, texts } from "./bridge-room.ts";

describe("from a device into the hub", () => {
  test("a message keeps channel, text, QoS, retain, priority and time to live", async () => {
    const room = await openBridge();
    const device = room.device();
    await device.publish(
      { channel: "a/b", message: "22.5", qos: 1, retain: true, priority: 9, ttl: 60 },
      GATEWAY,
    );
    await room.settle();
    const [message] = room.seen;
    expect(message).toMatchObject({ channel: "a/b", qos: 1, retain: true, priority: 9, origin: "nomq" });
    expect((message?.expiresAt ?? 0) - (message?.publishedAt ?? 0)).toBe(60_000);
    expect(texts(room.seen)).toEqual(["22.5"]);
    expect(device.pending().size).toBe(0);
    await room.stop();
    expect(room.world.clock.pending()).toBe(0);
  });

  test("QoS 3 counts as 0; the empty channel is refused and counted", async () => {
    const room = await openBridge();
    const device = room.device();
    await device.publish({ channel: "a/b", message: "three", qos: 3 }, GATEWAY);
    await device.publish({ channel: "", message: "nowhere", qos: 1 }, GATEWAY);
    await room.settle();
    expect(room.seen.map(({ qos }) => qos)).toEqual([0]);
    expect(room.bridge.counts().refused).toEqual({ "channel-invalid": 1 });
    await room.stop();
  });

  test("configured channels bring their content type; names of the hub resolve hashes", async () => {
    const room = await openBridge({
      bridge: { channels: [{ name: "a/b", contentType: "application/json" }] },
    });
    const device = room.device();
    await device.publish({ channel: "a/b", message: "{}" }, GATEWAY);
    await device.publish({ channel: "from/mqtt", message: "early" }, GATEWAY);
    await room.settle();
    expect(room.bridge.counts().unknownChannels).toMatchObject([{ count: 1 }]);
    await publish(room, { channel: "from/mqtt", qos: 0 });
    await room.settle();
    await device.publish({ channel: "from/mqtt", message: "late" }, GATEWAY);
    await room.settle();
    expect(room.seen.map(({ channel, contentType }) => [channel, contentType])).toEqual([
      ["a/b", "application/json"],
      ["from/mqtt", undefined],
      ["from/mqtt", undefined],
    ]);
    expect(texts(room.seen)).toEqual(["{}", "go", "late"]);
    await room.stop();
  });

  test("a message never returns to the device it came from, also when its port has changed", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device({ transport: room.world.network.open(pump.at) });
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.settle();
    await room.world.clock.advance(2000);
    expect(room.seen.map(({ origin }) => origin)).toEqual(["nomq:pump-7"]);
    expect(device.delivered).toEqual([]);

    // The same session from another port, as behind a router that has forgotten it.
    const moved = room.world.network.open({ host: "10.0.0.77", port: 9555 });
    const heard: Uint8Array[] = [];
    moved.onDatagram((datagram) => void heard.push(datagram));
    const now = Math.floor(room.world.clock.now() / 1000);
    const [datagram] = device.device.publish({ channel: "a/b", message: "two", qos: 1 }, now).datagrams;
    await moved.send(datagram ?? text(""), GATEWAY);
    await room.settle();
    await room.world.clock.advance(2000);
    expect(room.seen.map(({ origin }) => origin)).toEqual(["nomq:pump-7", "nomq:pump-7"]);
    expect(heard).toHaveLength(1);
    // And what is for the device goes to where it was heard last.
    await publish(room, { qos: 0 });
    await room.world.clock.advance(1000);
    expect(heard).toHaveLength(2);
    await room.stop();
  });

  test("no ack while the store has not answered, and one when it has", async () => {
    const room = await openBridge({ bridge: { ack: "delivered" } });
    const gate = Promise.withResolvers<void>();
    room.outcome = async () => {
      await gate.promise;
      return { is: "delivered" };
    };
    const device = room.device();
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.world.clock.advance(3000);
    expect(device.pending().size).toBe(1);
    gate.resolve();
    await room.world.clock.advance(0);
    expect(device.pending().size).toBe(0);
    await room.stop();
  });

  test("ack: delivered gives no ack when an attachment refuses, or after ackTimeout", async () => {
    const room = await openBridge({ bridge: { ack: "delivered", ackTimeout: 5000 } });
    const device = room.device();
    room.outcome = async () => ({ is: "refused", reason: "no" });
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.world.clock.advance(100);
    room.outcome = () => new Promise(() => undefined);
    await device.publish({ channel: "a/b", message: "two", qos: 1 }, GATEWAY);
    await room.world.clock.advance(20_000);
    expect(device.pending().size).toBe(2);
    await room.stop();
  });
});

describe("between gateways and nodes of ours", () => {
  test("a peer that says SUBSCRIBE gets what is published, retained first, until it says UNSUBSCRIBE", async () => {
    const room = await openBridge();
    await publish(room, { retain: true, payload: text("kept") });
    const peer = await room.world.node();
    await peer.node.subscribe("a/b", GATEWAY);
    await room.world.clock.advance(1000);
    expect(peer.texts()).toEqual(["kept"]);
    expect(peer.taken[0]?.retain).toBe(true);
    const { id } = await publish(room, { qos: 2, payload: new Uint8Array([0xff, 0]) });
    await room.world.clock.advance(2000);
    expect([...(peer.taken[1]?.payload ?? [])]).toEqual([0xff, 0]);
    const { host = "", port = 0 } = peer.node.local() ?? {};
    expect(await outcomeAt(room, id, `nomq:${host}:${port}`)).toMatchObject({ is: "delivered" });
    await peer.node.publish("a/b", text("mine"), { qos: 1, to: GATEWAY });
    await room.world.clock.advance(1000);
    expect(peer.texts()).toHaveLength(2);
    await peer.node.unsubscribe("a/b", GATEWAY);
    await room.world.clock.advance(1000);
    await publish(room);
    await room.world.clock.advance(1000);
    expect(peer.texts()).toHaveLength(2);
    expect(room.hub.attachments().map(({ name }) => name)).toEqual(["other"]);
    await room.stop();
    expect(room.world.clock.pending()).toBe(0);
  });
});

test("addresses are those it listens on; after stop there are none and the status is closed", async () => {
  const room = await openBridge();
  expect(room.bridge.addresses()).toEqual(["udp://10.0.0.200:8888"]);
  expect(room.bridge.status().state).toBe("ready");
  await room.bridge.stop();
  await room.bridge.stop();
  expect(room.bridge.addresses()).toEqual([]);
  expect(room.bridge.status().state).toBe("closed");
  await room.stop();
});
