import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createHub, createMemoryStore, createNomqBridge, type NomqBridge } from "../../src/index.ts";
import { createFaultyStore } from "../../src/testing/index.ts";
import { text } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { type BridgeRoom, GATEWAY, openBridge, texts } from "./bridge-room.ts";

const hashOf = (channel: string): string => createHash("sha256").update(channel).digest("hex").slice(0, 32);
const HASH = hashOf("x/y");

async function say(room: BridgeRoom, message: string, channel = "x/y"): Promise<void> {
  await room.device().publish({ channel, message, qos: 1 }, GATEWAY);
  await room.settle();
}

const unknown = (bridge: NomqBridge): readonly string[] =>
  bridge.counts().unknownChannels.map(({ hash }) => hash);

describe("naming a channel at run time", () => {
  test("takes effect at once, and a sender that tries again is acknowledged then", async () => {
    const room = await openBridge();
    const peer = await room.world.node({ peers: [{ name: "gateway", address: GATEWAY, kind: "node" }] });
    const outcome = peer.node.publish("x/y", text("m"), { to: "gateway", qos: 1 });
    await room.settle();
    expect(unknown(room.bridge)).toEqual([HASH]);
    expect(await room.bridge.names.name(HASH, "x/y")).toEqual({ is: "named", hash: HASH, channel: "x/y" });
    expect(unknown(room.bridge)).toEqual([]);
    await room.world.clock.advance(5000);
    expect((await outcome).is).toBe("delivered");
    expect(texts(room.seen)).toEqual(["m"]);
    expect(room.seen[0]?.channel).toBe("x/y");
    await room.stop();
  });

  test("is kept over restarts, until it is forgotten; then one start later the channel is unknown", async () => {
    const store = createMemoryStore();
    const first = await openBridge({ hub: { store } });
    const { world } = first;
    await first.bridge.names.name(HASH, "x/y");
    await first.bridge.names.name(hashOf("grün/ü"), "grün/ü");
    await say(first, "one");
    await first.hub[Symbol.asyncDispose]();

    const second = await openBridge({ hub: { store }, world });
    expect(second.bridge.names.list()).toEqual([
      { hash: HASH, channel: "x/y" },
      { hash: hashOf("grün/ü"), channel: "grün/ü" },
    ]);
    await say(second, "two");
    await say(second, "three", "grün/ü");
    expect(texts(second.seen)).toEqual(["two", "three"]);
    expect(await second.bridge.names.forget("x/y")).toEqual({ hash: HASH, channel: "x/y" });
    expect(await second.bridge.names.forget("x/y")).toBeUndefined();
    await say(second, "still known");
    expect(texts(second.seen)).toHaveLength(3);
    await second.hub[Symbol.asyncDispose]();

    const third = await openBridge({ hub: { store }, world });
    await say(third, "four");
    expect(unknown(third.bridge)).toEqual([HASH]);
    expect(third.bridge.names.list()).toEqual([{ hash: hashOf("grün/ü"), channel: "grün/ü" }]);
    await third.stop();
  });

  // Each took three seconds in which nothing else ran: a hundred are more than a test may take.
  test("of 65,000 slashes costs no more than another", async () => {
    const room = await openBridge();
    for (let each = 0; each < 100; each += 1) {
      const channel = `a${"/".repeat(65_000)}${each}`;
      expect(await room.bridge.names.name(HASH, channel)).toMatchObject({ reason: "hash-mismatch" });
    }
    await room.stop();
  });

  test("the first 8 digits of the hash are enough, in either case", async () => {
    const room = await openBridge();
    for (const given of [HASH.slice(0, 8), HASH.slice(0, 31).toUpperCase()]) {
      expect(await room.bridge.names.name(given, "x/y")).toMatchObject({ is: "named", hash: HASH });
    }
    expect(room.bridge.names.list()).toHaveLength(1);
    await room.stop();
  });

  test.each([
    [HASH, "x/z", "hash-mismatch", `"x/z" has the hash ${hashOf("x/z")}, not ${HASH}`],
    [HASH, "/X/Y", "hash-mismatch", `not ${HASH}; did you mean "x/y"?`],
    [hashOf("/x/y"), "x/y", "hash-mismatch", 'did you mean "/x/y"?'],
    [hashOf("x/y/"), " x/y", "hash-mismatch", 'did you mean "x/y/"?'],
    [HASH.slice(0, 7), "x/y", "hash-invalid", "32 hexadecimal digits"],
    [`${HASH}0`, "x/y", "hash-invalid", "32 hexadecimal digits"],
    ["not a hash at all", "x/y", "hash-invalid", "32 hexadecimal digits"],
    [hashOf("a/#"), "a/#", "channel-invalid", "no NUL, + or #"],
    [hashOf("$SYS"), "$SYS", "channel-invalid", "does not start with $"],
    [hashOf(""), "", "channel-invalid", "1 to 65,535 bytes"],
    [HASH, "\ud800", "channel-invalid", "1 to 65,535 bytes"],
  ])("%s for %j is refused: %s", async (hash, channel, reason, words) => {
    const room = await openBridge();
    const answer = await room.bridge.names.name(hash, channel);
    expect(answer).toMatchObject({ is: "refused", reason, text: expect.stringContaining(words) });
    expect(room.bridge.names.list()).toEqual([]);
    await say(room, "m");
    expect(unknown(room.bridge)).toEqual([HASH]);
    await room.stop();
  });

  test("at most 1,000 names are kept; known ones may be given again", async () => {
    const room = await openBridge();
    const name = (at: number): Promise<unknown> => room.bridge.names.name(hashOf(`c/${at}`), `c/${at}`);
    const answers = await Promise.all(Array.from({ length: 1005 }, (_, at) => name(at)));
    const full = { is: "refused", reason: "names-full" };
    expect(answers.slice(0, 1000).every((each) => JSON.stringify(each).includes("named"))).toBe(true);
    expect(answers.slice(1000)).toMatchObject([full, full, full, full, full]);
    expect(await name(7)).toMatchObject({ is: "named" });
    await room.bridge.names.forget("c/7");
    expect(await name(1001)).toMatchObject({ is: "named" });
    await room.stop();
  });

  test("a store that fails is told after five seconds; the name is known, and kept once it works", async () => {
    const store = createFaultyStore(createMemoryStore());
    const first = await openBridge({ hub: { store } });
    const { world } = first;
    store.fail();
    const naming = first.bridge.names.name(HASH, "x/y");
    await world.clock.advance(5000);
    expect(await naming).toMatchObject({ is: "refused", reason: "store-busy" });
    store.heal();
    await world.clock.advance(60_000);
    await say(first, "m");
    expect(texts(first.seen)).toEqual(["m"]);
    await first.hub[Symbol.asyncDispose]();
    expect(await first.bridge.names.name(hashOf("z"), "z")).toMatchObject({ reason: "store-failed" });
    await expect(first.bridge.names.forget("x/y")).rejects.toMatchObject({ code: "store-failed" });
    expect(first.bridge.names.list()).toEqual([{ hash: HASH, channel: "x/y" }]);

    const second = await openBridge({ hub: { store }, world });
    expect(second.bridge.names.list()).toEqual([{ hash: HASH, channel: "x/y" }]);
    store.hang();
    const forgetting = expect(second.bridge.names.forget("x/y")).rejects.toMatchObject({
      code: "store-busy",
    });
    await world.clock.advance(5000);
    await forgetting;
    expect(second.bridge.names.list()).toEqual([]);
    store.heal();
    await second.stop();
  });

  test("before the bridge belongs to a hub it answers closed", async () => {
    await using bridge = createNomqBridge({ listen: ["udp://127.0.0.1:0"], keys: [vectorKey()] });
    expect(await bridge.names.name(HASH, "x/y")).toMatchObject({ is: "refused", reason: "closed" });
    expect(await bridge.names.forget("x/y")).toBeUndefined();
  });

  test("records of another hash than their name's are passed over", async () => {
    const store = createMemoryStore();
    {
      await using hub = createHub({ store });
      await hub.start();
      const bytes = (value: string): Uint8Array => Buffer.from(value);
      await hub.port("nomq").remember([
        { key: bytes(`n/${HASH}`), value: bytes("x/z") },
        { key: bytes(`n/${hashOf("a/#")}`), value: bytes("a/#") },
        { key: bytes("n/short"), value: bytes("x/y") },
      ]);
    }
    const room = await openBridge({ hub: { store } });
    expect(room.bridge.names.list()).toEqual([]);
    await room.stop();
  });
});

describe("names are known without being told", () => {
  test.each<[string, (room: BridgeRoom) => Promise<unknown>]>([
    ["from a SUBSCRIBE packet", async (room) => (await room.world.node()).node.subscribe("x/y", GATEWAY)],
    [
      "from what another attachment publishes",
      (room) => room.hub.port("other").publish({ channel: "x/y", payload: text("") }, "*"),
    ],
    [
      "from what another attachment subscribes to",
      (room) =>
        room.hub.port("other").attach({
          name: "dashboard",
          as: "*",
          filters: ["x/y"],
          durable: false,
          deliver: async () => ({ is: "delivered" }),
        }),
    ],
  ])("%s", async (_, tell) => {
    const room = await openBridge();
    await say(room, "early");
    expect(unknown(room.bridge)).toEqual([HASH]);
    await tell(room);
    await room.world.clock.advance(100);
    expect(unknown(room.bridge)).toEqual([]);
    await say(room, "late");
    expect(texts(room.seen)).toContain("late");
    expect(texts(room.seen)).not.toContain("early");
    await room.stop();
  });

  test("from configuration: channels, and what devices get", async () => {
    const pump = { name: "pump", address: "10.0.0.77:9001", subscribe: ["x/y"] };
    const room = await openBridge({ devices: [pump], bridge: { channels: ["c"] } });
    await say(room, "one");
    await say(room, "two", "c");
    expect(texts(room.seen)).toEqual(["one", "two"]);
    await room.stop();
  });
});
