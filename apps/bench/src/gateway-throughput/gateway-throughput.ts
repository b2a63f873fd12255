import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { channelId, createPacketKey, encodePacket, type Key, pooledRandom, randomU32 } from "@nomq/core";
import { type Loop, runClosedLoop } from "../closed-loop.ts";
import { median } from "../ratio.ts";
import { startEcho } from "../server-process.ts";
import { countMessages } from "./mqtt-counter.ts";
import { startGateway } from "./processes.ts";

const CHANNEL = "bench/temperature";
const MESSAGE = Buffer.from('{"t":21.5}');
const ROUNDS = 5;
const PER_ROUND = 20_000;
const WARM_UP = 20_000;

function makeKey(): Key {
  return { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" };
}

/** QoS 0 publishes as a device sends them, made before the clock starts. */
function makeDatagrams(key: Key, count: number): readonly Uint8Array[] {
  const packetKey = createPacketKey(key);
  const sessionId = randomU32(pooledRandom);
  const timestamp = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, (_, nonce) =>
    encodePacket(
      {
        type: "PUBLISH",
        flags: 0,
        packetId: nonce,
        sessionId,
        ttl: 3600,
        timestamp,
        channelId: channelId(CHANNEL),
        nonce,
        innerTimestamp: BigInt(timestamp),
        message: MESSAGE,
        layout: 16,
      },
      packetKey,
      { dialect: "micropython" },
    ),
  );
}

const TARGET = 0.5;

/** Messages per second, a pair for each round. */
type Rounds = readonly { readonly gateway: number; readonly echo: number }[];

/** Prints the ratio of throughput through the gateway to a bare echo's; resolves with whether it meets the target. */
export async function benchGateway(): Promise<boolean> {
  const rounds = await measureGatewayThroughput();
  const ratio = median(rounds.map(({ gateway, echo }) => gateway / echo));
  const rate = (of: "gateway" | "echo"): string =>
    Math.round(median(rounds.map((round) => round[of]))).toString();
  console.log(
    `NoMQ QoS 0 datagram to MQTT subscriber: ${rate("gateway")}/s, ${ratio.toFixed(2)}× of a bare UDP echo, ` +
      `${rate("echo")}/s; target ≥ ${TARGET}×: ${ratio >= TARGET ? "ok" : "MISSED"}`,
  );
  return ratio >= TARGET;
}

/**
 * NoMQ QoS 0 datagram to MQTT subscriber through the gateway process, against a bare UDP echo process, in turns.
 * Both are driven by this process with the same datagrams and the same number on the way.
 */
async function measureGatewayThroughput(): Promise<Rounds> {
  const key = makeKey();
  await using echo = await startEcho();
  await using gateway = await startGateway(key, CHANNEL);
  const counter = await countMessages({
    port: gateway.mqttPort,
    topic: CHANNEL,
    payloadBytes: MESSAGE.length,
  });
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  const datagrams = makeDatagrams(key, WARM_UP + ROUNDS * PER_ROUND);
  const through: Loop = {
    send: (index) => socket.send(at(datagrams, index), gateway.nomqPort, "127.0.0.1"),
    onArrivals: counter.onArrivals,
  };
  const back: Loop = {
    send: (index) => socket.send(at(datagrams, index), echo.port, "127.0.0.1"),
    onArrivals: (tell) => onlyListener(socket, () => tell(1)),
  };
  try {
    return await takeTurns(through, back);
  } finally {
    counter.close();
    socket.close();
  }
}

async function takeTurns(through: Loop, back: Loop): Promise<Rounds> {
  const rounds: { gateway: number; echo: number }[] = [];
  await runClosedLoop(back, { from: 0, to: WARM_UP });
  await runClosedLoop(through, { from: 0, to: WARM_UP });
  for (let round = 0; round < ROUNDS; round += 1) {
    const part = { from: WARM_UP + round * PER_ROUND, to: WARM_UP + (round + 1) * PER_ROUND };
    const echo = await runClosedLoop(back, part);
    rounds.push({ gateway: await runClosedLoop(through, part), echo });
  }
  return rounds;
}

function onlyListener(socket: Socket, listen: () => void): void {
  socket.removeAllListeners("message");
  socket.on("message", listen);
}

function at(datagrams: readonly Uint8Array[], index: number): Uint8Array {
  const datagram = datagrams[index];
  if (datagram === undefined) throw new RangeError(`no datagram ${index}`);
  return datagram;
}
