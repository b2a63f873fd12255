import { describe, expect, test } from "vitest";
import { type Batch, createMemoryStore, type Store } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, text } from "../node/node-room.ts";
import { GATEWAY, openBridge, publish, pump, pumpDevice, texts } from "./bridge-room.ts";

/** Each commit takes turns of the event loop, in which datagrams come and go. */
function slowed(store: Store): Store {
  const commit = store.commit.bind(store);
  return Object.assign(store, {
    async commit(batch: Batch) {
      await settle();
      await commit(batch);
    },
  });
}

describe("over a restart of the gateway with its store kept", () => {
  test("replays are refused, packets of the same second taken, and a device's clock is remembered", async () => {
    const store = createMemoryStore();
    const first = await openBridge({ devices: [pumpDevice], hub: { store } });
    const { world } = first;
    const transport = world.network.open(pump.at);
    const device = first.device({ transport, offsetSeconds: -946_684_800 + 12_600 });
    const now = Math.floor(world.clock.now() / 1000) + device.offsetSeconds;
    const sealed = ([0, 1, 2] as const).map(
      (qos) => device.device.publish({ channel: "a/b", message: `m${qos}`, qos }, now).datagrams[0],
    );
    for (const datagram of sealed) await transport.send(datagram ?? text(""), GATEWAY);
    await first.settle();
    expect(texts(first.seen)).toEqual(["m0", "m1", "m2"]);
    await first.hub[Symbol.asyncDispose]();

    const second = await openBridge({ devices: [pumpDevice], hub: { store }, world });
    const stranger = world.network.open();
    for (const datagram of sealed) await stranger.send(datagram ?? text(""), GATEWAY);
    await second.settle();
    expect(second.seen).toEqual([]);
    expect(second.bridge.counts().rejected.replay).toBe(3);
    await device.publish({ channel: "a/b", message: "fresh", qos: 1 }, GATEWAY);
    await second.settle();
    expect(texts(second.seen)).toEqual(["fresh"]);
    await second.stop();

    const third = await openBridge({
      devices: [pumpDevice],
      hub: { store },
      world: createWorld({ start: world.clock.now() }),
    });
    const listener = third.device({
      transport: third.world.network.open(pump.at),
      offsetSeconds: device.offsetSeconds,
    });
    await publish(third);
    await third.world.clock.advance(1000);
    expect(listener.received).toHaveLength(1);
    expect(listener.delivered.map((one) => one.text)).toEqual(["go"]);
    await third.stop();
  });

  test("what the hub refused is refused as a replay too: it was never acknowledged, and its state was kept", async () => {
    const store = createMemoryStore();
    const denied = { may: (_: unknown, action: string) => action !== "publish" };
    const first = await openBridge({ hub: { store, access: denied } });
    const { world } = first;
    const device = first.device();
    const now = Math.floor(world.clock.now() / 1000);
    const sealed =
      device.device.publish({ channel: "a/b", message: "m", qos: 1 }, now).datagrams[0] ?? text("");
    const sender = world.network.open();
    await sender.send(sealed, GATEWAY);
    await first.settle();
    expect(first.bridge.counts().refused).toEqual({ access: 1 });
    await first.hub[Symbol.asyncDispose]();
    const second = await openBridge({ hub: { store }, world });
    await sender.send(sealed, GATEWAY);
    await second.settle();
    expect(second.seen).toEqual([]);
    expect(second.bridge.counts().rejected.replay).toBe(1);
    await second.stop();
  });

  test("a node's QoS 2 message that was taken before and not answered is answered, and routed once", async () => {
    const store = createMemoryStore();
    const first = await openBridge({ hub: { store } });
    const { world } = first;
    const peer = await world.node({
      peers: [{ name: "gateway", address: GATEWAY, kind: "node" }],
    });
    world.network.change({ drop: (_, from) => from.port === GATEWAY.port });
    let outcome: unknown;
    void peer.node.publish("a/b", text("m"), { qos: 2, to: "gateway" }).then((value) => {
      outcome = value;
    });
    await world.clock.advance(500);
    expect(texts(first.seen)).toEqual(["m"]);
    await first.hub[Symbol.asyncDispose]();
    world.network.change({ drop: () => false });
    const second = await openBridge({ hub: { store }, world });
    await world.clock.advance(10_000);
    expect(outcome).toMatchObject({ is: "delivered" });
    expect(second.seen).toEqual([]);
    await second.stop();
  });

  test.each([
    ["before anything of it had left", "none", 0],
    ["with its PUBLISH lost", "gateway", 0],
    ["with its PUBREC lost", "node", 1],
  ] as const)("a QoS 2 message to a node, cut %s, arrives once", async (_, lost, before) => {
    const store = createMemoryStore();
    const devices = [{ name: "hall", address: "10.0.0.50:9000", kind: "node", subscribe: ["a/b"] }] as const;
    const first = await openBridge({ devices, hub: { store } });
    const { world } = first;
    const got: string[] = [];
    const transport = world.network.open({ host: "10.0.0.50", port: 9000 });
    await world.node(
      { transport, channels: ["a/b"] },
      {
        message: async ({ payload }) => {
          got.push(Buffer.from(payload).toString());
          return { is: "accepted" };
        },
      },
    );
    const from = lost === "gateway" ? GATEWAY.port : 9000;
    world.network.change({ drop: (_datagram, sender) => lost !== "none" && sender.port === from });
    await publish(first, { qos: 2 });
    if (lost !== "none") await world.clock.advance(500);
    expect(got).toHaveLength(before);
    let isOver = false;
    const over = first.hub[Symbol.asyncDispose]().then(() => {
      isOver = true;
    });
    while (!isOver) await world.clock.advance(500);
    await over;
    world.network.change({ drop: () => false });
    const second = await openBridge({ devices, hub: { store }, world });
    await world.clock.advance(40_000);
    expect(got).toEqual(["go"]);
    const row = second.hub.attachments().find(({ name }) => name === "nomq:hall")?.ledger;
    expect(row).toMatchObject({ delivered: 1, uncertain: 0, pending: 0 });
    await second.stop();
  });

  test.each([
    ["device", "a store", createMemoryStore],
    ["node", "a store", createMemoryStore],
    ["device", "a slow store", () => slowed(createMemoryStore())],
    ["node", "a slow store", () => slowed(createMemoryStore())],
  ] as const)(
    "a QoS 2 message that waited while the bridge was gone reaches a %s from %s: it was never sent",
    async (kind, _, createStore) => {
      const store = createStore();
      const devices = [{ ...pumpDevice, kind }];
      const first = await openBridge({ devices, hub: { store } });
      const { world } = first;
      await first.hub[Symbol.asyncDispose]();
      const between = await openBridge({ hub: { store }, world });
      await publish(between, { qos: 2 });
      await between.hub[Symbol.asyncDispose]();
      const got: string[] = [];
      const transport = world.network.open(pump.at);
      const device = kind === "device" ? world.device({ transport }) : undefined;
      if (kind === "node") {
        const message = async ({ payload }: { payload: Uint8Array }) => {
          got.push(Buffer.from(payload).toString());
          return { is: "accepted" } as const;
        };
        await world.node({ transport, channels: ["a/b"] }, { message });
      }
      const second = await openBridge({ devices, hub: { store }, world });
      await world.clock.advance(40_000);
      expect(device?.delivered.map((one) => one.text) ?? got).toEqual(["go"]);
      const row = second.hub.attachments().find(({ name }) => name === "nomq:pump-7")?.ledger;
      expect(row).toMatchObject({ delivered: 1, uncertain: 0, pending: 0 });
      await second.stop();
    },
  );
});
