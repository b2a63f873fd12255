import { createNomqNode, type NomqNode } from "@nomq/core";
import { createFakeClock, createMemoryNetwork, type FakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { randomId, seal } from "./real/seal.ts";
import { vectorKey } from "./real/vectors.ts";

const GATEWAY = { host: "10.0.0.1", port: 8888 };

interface Bench extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly node: NomqNode;
  readonly arrived: readonly string[];
  /** Sends from a port of its own and lets the datagram arrive. */
  sendFrom(port: number, datagram: Uint8Array): Promise<void>;
}

async function setUp(): Promise<Bench> {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock });
  const keys = [{ id: "site", ...vectorKey, dialect: "auto" }] as const;
  const node = createNomqNode({ transport: network.open(GATEWAY), keys, clock, channels: ["a/b"] });
  const arrived: string[] = [];
  node.receive({
    async message({ payload }) {
      arrived.push(Buffer.from(payload).toString());
      return { is: "accepted" };
    },
  });
  await node.start();
  return {
    clock,
    node,
    arrived,
    sendFrom: async (port, datagram) => {
      await using device = network.open({ host: "10.0.0.2", port });
      await device.send(datagram, GATEWAY);
      await clock.advance(0);
    },
    [Symbol.asyncDispose]: () => node.stop(),
  };
}

const secondsOf = (clock: FakeClock): number => Math.floor(clock.now() / 1000);

test.each([
  ["the same port, at once", 5000, 0],
  ["another port, at once", 6000, 0],
  ["the same port, 35 s later", 5000, 35_000],
  ["another port, 35 s later", 6000, 35_000],
  ["another port, a day later", 6000, 86_400_000],
])("identical bytes from %s are never delivered again", async (_from, port, later) => {
  await using bench = await setUp();
  const timestamp = secondsOf(bench.clock);
  const datagram = seal(vectorKey, { channel: "a/b", message: "once", sessionId: randomId(), timestamp });
  await bench.sendFrom(5000, datagram);
  expect(bench.arrived).toEqual(["once"]);
  await bench.clock.advance(later);
  await bench.sendFrom(port, datagram);
  expect(bench.arrived).toEqual(["once"]);
  const { rejected } = bench.node.status();
  expect(rejected.replay + rejected.stale).toBe(1);
});

test("a busy session's old packet is a replay 35 s later, while its next one is taken", async () => {
  await using bench = await setUp();
  const session = { channel: "a/b", sessionId: randomId() };
  const first = seal(vectorKey, { ...session, message: "first", timestamp: secondsOf(bench.clock) });
  await bench.sendFrom(5000, first);
  await bench.clock.advance(35_000);
  await bench.sendFrom(
    5000,
    seal(vectorKey, { ...session, message: "second", timestamp: secondsOf(bench.clock) }),
  );
  await bench.sendFrom(6000, first);
  expect(bench.arrived).toEqual(["first", "second"]);
  expect(bench.node.status().rejected.replay).toBe(1);
});
