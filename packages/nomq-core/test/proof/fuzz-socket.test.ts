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
  readonly to: Endpoint;
  readonly bridge: NomqBridge;
  readonly range: Range;
  /** Datagrams that the listener has got and dealt with. */
  readonly arrived: () => number;
}

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

/** A UDP listener that tells how many datagrams it handed on: asking the bridge for its counts takes far longer. */
async function openCounted(): Promise<{ transport: Transport; arrived: () => number }> {
  const transport = await openUdpTransport({ host: "127.0.0.1" });
  let arrived = 0;
  const counted: Transport = {
    local: transport.local,
    send: (datagram, to) => transport.send(datagram, to),
    onDatagram: (receive) =>
      transport.onDatagram((datagram, from) => {
        receive(datagram, from);
        arrived += 1;
      }),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
  return { transport: counted, arrived: () => arrived };
}

/** Shoots so many that nothing overflows, waits until each is counted, and compares. */
async function shootBatch({ sources, to, bridge, arrived }: Gun, shots: readonly Shot[]): Promise<void> {
  const before = countsOf(bridge.counts());
  const expected = nothingExpected();
  for (const shot of shots) {
    expectAlso(expected, shot);
    const { socket } = sources.find(({ at }) => at.port === shot.from.port) ??
      sources[0] ?? { socket: undefined };
    socket?.send(shot.datagram, to.port, to.host);
  }
  const due = arrived() + shots.length;
  // A limit against hanging: a datagram that the kernel lost fails below.
  for (let turns = 0; turns < 200_000 && arrived() < due; turns += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const after = countsOf(bridge.counts());
  const got = nothingExpected().counts;
  for (const reason of Object.keys(got) as (keyof typeof got)[]) got[reason] = after[reason] - before[reason];
  expect(got).toEqual(expected.counts);
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
  const { transport, arrived } = await openCounted();
  const node = createNomqNode({
    transport,
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
  const gun = { sources, to, bridge, range, arrived };
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
  for (const { socket } of sources) socket.close();
});
