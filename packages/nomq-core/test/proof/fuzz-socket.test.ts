import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import {
  type Clock,
  createHub,
  createNomqBridge,
  createNomqNode,
  type Endpoint,
  type NomqBridge,
  openUdpTransport,
  systemClock,
  type Transport,
} from "../../src/index.ts";
import { text } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { seedsOf } from "./faults.ts";
import { countsOf, createRange, expectAlso, nothingExpected, type Range } from "./fuzz/range.ts";
import type { Shot } from "./fuzz/shots.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const SHOTS = isLong ? 1_000_000 : 2000;
const [SEED = 1] = seedsOf(1, 1);
/** In flight at once: fewer bytes than any kernel's default receive buffer holds. */
const BATCH = 64;
const MOST_BYTES = 48_000;
const SOURCES = 8;

/** Real sockets that shoot at a bridge's real listener. */
interface Gun {
  readonly sources: readonly { readonly socket: Socket; readonly at: Endpoint }[];
  /** What comes from nobody's address: from a session's, an odd clock may be that of its next session. */
  readonly stranger: { readonly socket: Socket; readonly at: Endpoint };
  readonly to: Endpoint;
  readonly bridge: NomqBridge;
  readonly range: Range;
  readonly counted: Counted;
}

type Counts = ReturnType<typeof countsOf>;

/** Real time that stands still within a batch: no shot is stamped in one second and judged in the next. */
function createBatchClock(): Clock & { tick(): void } {
  const startedAt = Date.now();
  const from = performance.now();
  let elapsed = 0;
  return {
    now: () => startedAt + elapsed,
    monotonic: () => elapsed,
    after: (ms, run) => systemClock.after(ms, run),
    tick: () => {
      elapsed = performance.now() - from;
    },
  };
}

async function openSource(): Promise<{ socket: Socket; at: Endpoint }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { socket, at: { host: "127.0.0.1", port: socket.address().port } };
}

interface Counted {
  readonly transport: Transport;
  /** Datagrams of the gun's that the node has dealt with. */
  arrived(): number;
  /** What the true peer's datagrams were counted as: a PUBREL may come at any time after its message. */
  ofOthers: Counts;
  /** Tells the gun's ports and asks for the counts when another port's datagram comes. */
  aim(ports: ReadonlySet<number>, counts: () => Counts): void;
}

/** A UDP listener that tells how many shots it handed on: asking the bridge for its counts takes far longer. */
async function openCounted(): Promise<Counted> {
  const transport = await openUdpTransport({ host: "127.0.0.1" });
  let arrived = 0;
  let isShot = (_port: number): boolean => true;
  let counts = (): Counts => nothingExpected().counts;
  const counted: Counted = {
    transport: {
      local: transport.local,
      send: (datagram, to) => transport.send(datagram, to),
      onDatagram: (receive) =>
        transport.onDatagram((datagram, from) => {
          if (isShot(from.port)) {
            receive(datagram, from);
            arrived += 1;
            return;
          }
          const before = counts();
          receive(datagram, from);
          counted.ofOthers = sumOf(counted.ofOthers, differenceOf(counts(), before));
        }),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    },
    arrived: () => arrived,
    ofOthers: nothingExpected().counts,
    aim(ports, asked) {
      isShot = (port) => ports.has(port);
      counts = asked;
    },
  };
  return counted;
}

const reasonsOf = (counts: Counts): readonly (keyof Counts)[] => Object.keys(counts) as (keyof Counts)[];

function differenceOf(one: Counts, other: Counts): Counts {
  const left = nothingExpected().counts;
  for (const reason of reasonsOf(left)) left[reason] = one[reason] - other[reason];
  return left;
}

function sumOf(one: Counts, other: Counts): Counts {
  const sum = nothingExpected().counts;
  for (const reason of reasonsOf(sum)) sum[reason] = one[reason] + other[reason];
  return sum;
}

/** Shoots so many that nothing overflows, waits until each is counted, and compares. */
async function shootBatch(
  { sources, stranger, to, bridge, counted }: Gun,
  shots: readonly Shot[],
): Promise<void> {
  const counts = (): Counts => differenceOf(countsOf(bridge.counts()), counted.ofOthers);
  const before = counts();
  const expected = nothingExpected();
  for (const shot of shots) {
    expectAlso(expected, shot);
    const { socket } = sources.find(({ at }) => at.port === shot.from.port) ?? stranger;
    socket.send(shot.datagram, to.port, to.host);
  }
  const due = counted.arrived() + shots.length;
  // A limit against hanging: a datagram that the kernel lost fails below.
  for (let turns = 0; turns < 200_000 && counted.arrived() < due; turns += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  expect(differenceOf(counts(), before)).toEqual(expected.counts);
}

function batchOf(range: Range, count: number): Shot[] {
  const shots: Shot[] = [];
  let bytes = 0;
  while (shots.length < count && bytes < MOST_BYTES) {
    const shot = range.next();
    shots.push(shot);
    bytes += shot.datagram.length + 512;
  }
  return shots;
}

test(`${SHOTS} fuzzed datagrams through a real socket: each is counted once and under the right reason, and a true peer is served`, {
  timeout: 1_800_000,
}, async () => {
  const clock = createBatchClock();
  await using hub = createHub({ clock });
  const counted = await openCounted();
  const node = createNomqNode({
    transport: counted.transport,
    keys: [vectorKey()],
    clock,
    limits: { channels: 1 },
  });
  const bridge = createNomqBridge({ node, channels: ["a/b"] });
  hub.add(bridge);
  await hub.start();
  const to = node.local();
  if (to === undefined) throw new Error("not started");
  const sources = await Promise.all(Array.from({ length: SOURCES }, openSource));
  const target = { ownSession: () => node.sessionId, seconds: () => Math.floor(clock.now() / 1000) };
  const range = createRange(target, { seed: SEED, froms: sources.map(({ at }) => at) });
  const stranger = await openSource();
  counted.aim(new Set([...sources, stranger].map(({ at }) => at.port)), () => countsOf(bridge.counts()));
  const gun = { sources, stranger, to, bridge, range, counted };
  await using peer = createNomqNode({
    transport: () => openUdpTransport({ host: "127.0.0.1" }),
    keys: [vectorKey()],
  });
  await peer.start();
  await shootBatch(gun, range.openers);
  for (let shot = 0, batch = 0; shot < SHOTS; batch += 1) {
    clock.tick();
    const shots = batchOf(range, Math.min(BATCH, SHOTS - shot));
    await shootBatch(gun, shots);
    shot += shots.length;
    if (batch % 1000 !== 10) continue;
    const outcome = await peer.publish("a/b", text("still there?"), { qos: batch % 2 === 0 ? 2 : 1, to });
    expect(outcome).toMatchObject({ is: "delivered" });
  }
  if (process.env["NOMQ_SHOW"] !== undefined) {
    const { accepted, rejected, sent, held } = bridge.counts();
    process.stderr.write(`${JSON.stringify({ accepted, rejected, sent, held })}\n`);
  }
  for (const { socket } of [...sources, stranger]) socket.close();
});
