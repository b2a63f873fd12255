import { createSocket } from "node:dgram";
import { createNomqNode, type NomqNode, openUdpTransport, type Qos } from "@nomq/core";
import { type Loop, runClosedLoop } from "../closed-loop.ts";
import { median } from "../ratio.ts";
import { type ServerProcess, startEcho, startServer } from "../server-process.ts";
import { benchChannel, readKey, writeKey } from "./setting.ts";

const MESSAGE = Buffer.from('{"t":21.5}');
const FAR = "far";
const ROUNDS = 9;
const WARM_UP = 6_000;

/** How many are on the way at once, and how many a round has: about a quarter of a second. */
const SETTINGS = [
  { inFlight: 1, perRound: 1_000 },
  { inFlight: 16, perRound: 4_000 },
  { inFlight: 64, perRound: 4_000 },
] as const;

/**
 * One round trip at QoS 1 is PUBLISH and ACK, so twice seal, check and open; at QoS 2 it is two of them. A bare echo
 * does nothing at all with a datagram.
 */
const TARGETS = { 1: 0.25, 2: 0.125 } as const;

/** Acknowledged round trips per second between two nodes, each in a process of its own, against a bare UDP echo. */
export async function benchRoundTrips(): Promise<boolean> {
  const key = writeKey();
  await using echo = await startEcho();
  await using far = await startServer(new URL("node-server.ts", import.meta.url), key);
  await using node = createNomqNode({
    transport: () => openUdpTransport({ host: "127.0.0.1" }),
    keys: [readKey(key)],
    channels: [benchChannel],
    limits: { pending: 1_000 },
    peers: [{ name: FAR, address: { host: "127.0.0.1", port: far.port }, kind: "node" }],
  });
  await node.start();
  using socket = bareEcho(echo);
  const loops = { echo: socket.loop, 1: publishing(node, 1), 2: publishing(node, 2) };
  for (const loop of [loops.echo, loops[1], loops[2]]) {
    await runClosedLoop(loop, { from: 0, to: WARM_UP, window: 64 });
  }
  let isWell = true;
  for (const setting of SETTINGS) isWell = (await measure(loops, setting)) && isWell;
  return isWell;
}

type Loops = Readonly<Record<"echo" | 1 | 2, Loop>>;

async function measure(loops: Loops, setting: (typeof SETTINGS)[number]): Promise<boolean> {
  const { inFlight, perRound } = setting;
  const run = { from: 0, to: perRound, window: inFlight };
  const rounds: Readonly<Record<"echo" | 1 | 2, number>>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const echo = await runClosedLoop(loops.echo, run);
    const one = await runClosedLoop(loops[1], run);
    rounds.push({ echo, 1: one, 2: await runClosedLoop(loops[2], run) });
  }
  const reports = ([1, 2] as const).map((qos) => {
    const ratio = median(rounds.map((round) => round[qos] / round.echo));
    const rate = (of: "echo" | 1 | 2): string =>
      Math.round(median(rounds.map((round) => round[of]))).toString();
    console.log(
      `QoS ${qos}, ${String(inFlight).padStart(2)} in flight: ${rate(qos)}/s, ${ratio.toFixed(2)}× of a bare UDP ` +
        `echo, ${rate("echo")}/s; target ≥ ${TARGETS[qos]}×: ${ratio >= TARGETS[qos] ? "ok" : "MISSED"}`,
    );
    return ratio >= TARGETS[qos];
  });
  return reports.every(Boolean);
}

function publishing(node: NomqNode, qos: Qos): Loop {
  let arrived = (_count: number): void => undefined;
  return {
    send: () => {
      void node.publish(benchChannel, MESSAGE, { to: FAR, qos }).then((outcome) => {
        if (outcome.is !== "delivered") throw new Error(`a message of the benchmark is ${outcome.is}`);
        arrived(1);
      });
    },
    onArrivals: (tell) => {
      arrived = tell;
    },
  };
}

function bareEcho({ port }: ServerProcess): { readonly loop: Loop } & Disposable {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  // As long as the QoS 1 message is on the wire.
  const datagram = Buffer.alloc(53 + 16 + 32 + 32);
  return {
    loop: {
      send: () => socket.send(datagram, port, "127.0.0.1"),
      onArrivals: (tell) => {
        socket.removeAllListeners("message");
        socket.on("message", () => tell(1));
      },
    },
    [Symbol.dispose]: () => void socket.close(),
  };
}
