import { expect, test } from "vitest";
import {
  type Attachment,
  createMappingLosses,
  type NomqPeer,
  type Port,
  type SessionEntry,
  silentSessionLog,
} from "../../src/index.ts";
import { createAnnounced } from "../../src/nomq-bridge/announced.ts";
import { welcome } from "../../src/nomq-bridge/presence.ts";
import { settle } from "../../src/testing/index.ts";
import { text } from "../node/node-room.ts";
import { GATEWAY, openBridge, publish, pump, pumpDevice } from "./bridge-room.ts";

const board = { ...pumpDevice, kind: "node" as const };

test("what configuration subscribes a device to outlives its UNSUBSCRIBE and its silence", async () => {
  const room = await openBridge({ devices: [board] });
  const filters = () => room.hub.attachments().find(({ name }) => name === "nomq:pump-7")?.filters;
  const peer = await room.world.node({ transport: room.world.network.open(pump.at), channels: ["a/b", "c"] });
  await peer.node.subscribe("a/b", GATEWAY);
  await peer.node.subscribe("c", GATEWAY);
  await room.world.clock.advance(1000);
  expect(filters()).toEqual(["a/b", "c"]);
  await peer.node.unsubscribe("a/b", GATEWAY);
  await room.world.clock.advance(1000);
  expect(filters()).toEqual(["a/b", "c"]);
  await peer.node.subscribe("a/b", GATEWAY);
  await room.world.clock.advance(1000);
  room.world.network.change({ loss: 1 });
  await room.world.clock.advance(400_000);
  expect(filters()).toEqual(["a/b"]);
  room.world.network.change({ loss: 0 });
  await publish(room, { payload: text("kept for it") });
  await room.world.clock.advance(70_000);
  expect(peer.texts()).toContain("kept for it");
  await room.stop();
});

test("a channel of more levels than a filter may have is refused and stands in nobody's way", async () => {
  const room = await openBridge();
  const deep = Array.from({ length: 600 }, () => "x").join("/");
  const peer = await room.world.node({ channels: ["a/b", deep] });
  await peer.node.subscribe(deep, GATEWAY);
  await peer.node.subscribe("a/b", GATEWAY);
  await room.world.clock.advance(1000);
  expect(room.bridge.counts().rejected.limited).toBeGreaterThan(0);
  await publish(room, { payload: text("m") });
  await room.world.clock.advance(1000);
  expect(peer.texts()).toEqual(["m"]);
  await room.stop();
});

test("however often a peer changes its mind, the hub is asked once at a time", async () => {
  const asked: unknown[] = [];
  const answers: (() => void)[] = [];
  const device = {
    change: (change: unknown) =>
      new Promise<void>((resolve) => {
        asked.push(change);
        answers.push(resolve);
      }),
  };
  const peer = { id: "pump-7", known: true, address: pump.at, key: "k", kind: "node" } satisfies NomqPeer;
  const announced = createAnnounced({
    // Of the attachment and the port no more is used here.
    port: { sessionLog: silentSessionLog, extent: () => "all" } as unknown as Port,
    node: {} as never,
    losses: createMappingLosses(() => undefined),
    devices: [],
    isCut: () => false,
  });
  const attachment = device as unknown as Attachment;
  for (let round = 0; round < 1000; round += 1) {
    announced.subscribed(peer, "x", attachment);
    announced.unsubscribed(peer, "x", attachment);
    if (round % 100 === 0) await settle(1);
  }
  announced.subscribed(peer, "y", attachment);
  expect(asked.length).toBeLessThanOrEqual(1);
  await settle();
  while (answers.length > 0) {
    answers.shift()?.();
    await settle();
  }
  expect(asked.length).toBeLessThanOrEqual(3);
  expect(asked.at(-1)).toMatchObject({ add: ["y"] });
});

test("a peer heard while no socket works does not let out what waits for one", () => {
  const done: string[] = [];
  // Of the attachment no more is used here.
  const attachment = {
    pause: () => done.push("pause"),
    resume: () => done.push("resume"),
    repair: () => done.push("repair"),
  } as unknown as Attachment;
  welcome(attachment, true);
  expect(done).toEqual(["repair"]);
  welcome(attachment, false);
  expect(done.slice(1)).toEqual(["pause", "resume", "repair"]);
});

test("what no rule gives a node's key is not subscribed to, and recorded; asked again, it counts once allowed", () => {
  const recorded: SessionEntry[] = [];
  let isAllowed = false;
  const peer = {
    id: "10.0.0.7:8888",
    known: false,
    address: pump.at,
    key: "k",
    kind: "node",
  } satisfies NomqPeer;
  const announced = createAnnounced({
    port: {
      sessionLog: { record: (entry: SessionEntry) => void recorded.push(entry) },
      extent: () => (isAllowed ? "all" : "none"),
      attach: () => new Promise(() => undefined),
    } as unknown as Port,
    node: {} as never,
    losses: createMappingLosses(() => undefined),
    devices: [],
    isCut: () => false,
  });
  expect(announced.subscribed(peer, "secret", undefined)).toBe(false);
  const details = { peer: "10.0.0.7:8888", filter: "secret", reason: "access" };
  expect(recorded).toEqual([{ who: "nomq:k", what: "subscription.refused", details }]);
  isAllowed = true;
  expect(announced.subscribed(peer, "secret", undefined)).toBe(true);
});
