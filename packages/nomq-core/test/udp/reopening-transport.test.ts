import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint, Transport } from "../../src/index.ts";
import { createFakeClock, createMemoryNetwork, type FakeClock, settle } from "../../src/testing/index.ts";
import {
  openReopeningTransport,
  type ReopeningState,
  stepReopening,
} from "../../src/udp/reopening-transport.ts";
import { runs } from "../packet/arbitraries.ts";

const HERE: Endpoint = { host: "10.0.0.1", port: 8888 };
const PEER: Endpoint = { host: "10.0.0.2", port: 9001 };

/** Transports on a network in memory that fail when told to, and openings that fail as often as told. */
function createGround(): {
  clock: FakeClock;
  opened: { fail: (reason: string) => void; closed: boolean }[];
  askedAt: number[];
  askedFor: (number | undefined)[];
  failures: string[];
  open: (port: number | undefined) => Promise<Transport>;
  network: ReturnType<typeof createMemoryNetwork>;
} {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock });
  const ground = {
    clock,
    network,
    opened: [] as { fail: (reason: string) => void; closed: boolean }[],
    askedAt: [] as number[],
    askedFor: [] as (number | undefined)[],
    failures: [] as string[],
    async open(port: number | undefined): Promise<Transport> {
      ground.askedAt.push(clock.monotonic());
      ground.askedFor.push(port);
      const failure = ground.failures.shift();
      if (failure !== undefined) throw new Error(failure);
      const inner = network.open(HERE);
      const { promise: failed, resolve: fail } = Promise.withResolvers<string>();
      const one = { fail, closed: false };
      ground.opened.push(one);
      return {
        local: inner.local,
        failed,
        send: (datagram, to) => inner.send(datagram, to),
        onDatagram: (receive) => inner.onDatagram(receive),
        async [Symbol.asyncDispose]() {
          one.closed = true;
          await inner[Symbol.asyncDispose]();
        },
      };
    },
  };
  return ground;
}

const word = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe("a transport that opens again", () => {
  test("waits 2, 4, 8, 16, 32 s, then 32 s for ever, and works again by itself", async () => {
    const ground = createGround();
    const { clock } = ground;
    const told: (string | undefined)[] = [];
    await using transport = await openReopeningTransport({
      ...ground,
      changed: (reason) => told.push(reason),
    });
    const seen: string[] = [];
    transport.onDatagram((datagram) => seen.push(Buffer.from(datagram).toString()));
    ground.failures.push(...Array.from({ length: 8 }, (_, at) => (at < 6 ? "no memory" : "no address")));
    ground.opened[0]?.fail("EBADF");
    await settle();
    expect(ground.opened[0]?.closed).toBe(true);
    await clock.advance(1_000_000);
    const waits = ground.askedAt.slice(1).map((at, index) => at - (ground.askedAt[index] ?? 0));
    expect(waits).toEqual([2, 4, 8, 16, 32, 32, 32, 32, 32].map((seconds) => seconds * 1000));
    expect(new Set(ground.askedFor.slice(1))).toEqual(new Set([HERE.port]));
    expect(told).toEqual(["EBADF", "no memory", "no address", undefined]);
    const peer = ground.network.open(PEER);
    await peer.send(word("back"), HERE);
    await settle();
    expect(seen).toEqual(["back"]);
  });

  test("loses what is sent meanwhile, and no more", async () => {
    const ground = createGround();
    await using transport = await openReopeningTransport(ground);
    const arrived: string[] = [];
    ground.network.open(PEER).onDatagram((datagram) => arrived.push(Buffer.from(datagram).toString()));
    await transport.send(word("before"), PEER);
    ground.opened[0]?.fail("ENETDOWN");
    await settle();
    await transport.send(word("meanwhile"), PEER);
    await ground.clock.advance(2000);
    await transport.send(word("after"), PEER);
    await settle();
    expect(arrived).toEqual(["before", "after"]);
    expect(transport.local).toEqual(HERE);
  });

  test("what fails at once again waits longer; what has held for a minute begins anew", async () => {
    const ground = createGround();
    const { clock } = ground;
    await using _transport = await openReopeningTransport(ground);
    const waits: number[] = [];
    for (const heldMs of [0, 10_000, 59_999, 60_000, 0]) {
      await clock.advance(heldMs);
      const failedAt = clock.monotonic();
      const before = ground.opened.length;
      ground.opened.at(-1)?.fail("ENOBUFS");
      while (ground.opened.length === before) await clock.advance(1000);
      waits.push((ground.askedAt.at(-1) ?? 0) - failedAt);
    }
    expect(waits).toEqual([2000, 4000, 8000, 2000, 4000]);
  });

  test("an old transport that fails late changes nothing", async () => {
    const ground = createGround();
    await using _transport = await openReopeningTransport(ground);
    ground.opened[0]?.fail("EBADF");
    await ground.clock.advance(2000);
    ground.opened[0]?.fail("EBADF again");
    await ground.clock.advance(100_000);
    expect(ground.opened).toHaveLength(2);
    expect(ground.opened[1]?.closed).toBe(false);
  });

  test("cannot be opened the first time: it rejects, and nothing is tried again", async () => {
    const ground = createGround();
    ground.failures.push("taken");
    await expect(openReopeningTransport(ground)).rejects.toThrow("taken");
    expect(ground.clock.pending()).toBe(0);
  });

  test.each(["open", "closing", "waiting", "opening"])(
    "disposed while %s, it leaves nothing behind",
    async (when) => {
      const ground = createGround();
      const transport = await openReopeningTransport(ground);
      if (when !== "open") ground.opened[0]?.fail("EBADF");
      if (when === "waiting") await settle();
      if (when === "opening") void ground.clock.advance(2000);
      if (when === "opening") while (ground.askedAt.length < 2) await settle(1);
      await Promise.all([transport[Symbol.asyncDispose](), transport[Symbol.asyncDispose]()]);
      await ground.clock.advance(100_000);
      expect(ground.opened.every(({ closed }) => closed)).toBe(true);
      expect(ground.clock.pending()).toBe(0);
      await expect(transport.send(word("late"), PEER)).rejects.toMatchObject({ code: "closed" });
      await using again = ground.network.open(HERE);
      expect(again.local).toEqual(HERE);
    },
  );
});

test("whatever happens, it waits 2 to 32 s before each opening, opens one at a time, and stays closed", () => {
  const input = fc.oneof(
    fc.record({ on: fc.constant("failed" as const), reason: fc.constant("x"), now: fc.nat(200_000) }),
    fc.record({ on: fc.constant("opened" as const), now: fc.nat(200_000) }),
    fc.record({ on: fc.constant("unopened" as const), reason: fc.constant("y") }),
    fc.constantFrom({ on: "gone" } as const, { on: "due" } as const),
    fc.record({ on: fc.constant("close" as const) }),
  );
  fc.assert(
    fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
      let state: ReopeningState = { is: "open", since: 0, attempts: 0 };
      for (const each of inputs) {
        const step = stepReopening(state, each);
        if (step === undefined) continue;
        expect(state.is).not.toBe("closed");
        expect(step.state.is === "waiting").toBe(step.waitMs !== undefined);
        if (step.waitMs !== undefined) expect([2000, 4000, 8000, 16_000, 32_000]).toContain(step.waitMs);
        if (step.state.is === "opening") expect(state.is).toBe("waiting");
        if (step.state.is === "open") expect(state.is).toBe("opening");
        state = step.state;
      }
    }),
    runs(10_000, 300),
  );
});
