import { once } from "node:events";
import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { createPrng } from "@nomq/core/testing";
import type { Packet } from "mqtt-packet";
import { generate } from "mqtt-packet";
import { expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

const LONG = Boolean(process.env["NOMQ_LONG"]);
const CONNECTIONS = LONG ? 4000 : 150;

type Random = () => number;

const pick = <T>(random: Random, from: readonly T[]): T => {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new Error("nothing to pick from");
  return found;
};

const NAMES = [
  "a",
  "a/b",
  "#",
  "+/b",
  "$share/g/a",
  "$SYS/#",
  "__proto__",
  "constructor",
  "",
  "a/#/b",
  "x".repeat(300),
];

function somePacket(random: Random, version: 4 | 5): Packet {
  const qos = pick(random, [0, 1, 2] as const);
  const messageId = 1 + Math.floor(random() * 5);
  const properties =
    version === 5 && random() < 0.5 ? { userProperties: { __proto__: "x", priority: "3" } } : {};
  const filter = (): { topic: string; qos: 0 | 1 | 2 } => ({ topic: pick(random, NAMES), qos });
  return pick<() => Packet>(random, [
    () => ({
      ...publishOf({ topic: pick(random, NAMES), qos, retain: random() < 0.3, properties }),
      messageId,
    }),
    () => ({ cmd: "subscribe", messageId, subscriptions: [filter(), filter(), filter()] }),
    () => ({ cmd: "unsubscribe", messageId, unsubscriptions: [pick(random, NAMES), pick(random, NAMES)] }),
    () => ({ cmd: pick(random, ["puback", "pubrec", "pubrel", "pubcomp"] as const), messageId }),
    () => ({ cmd: "pingreq" }),
  ])();
}

/** A packet, sometimes with bytes changed, lost or added; sometimes no packet at all. */
function someBytes(random: Random, version: 4 | 5): Buffer {
  const noise = (): Buffer =>
    Buffer.from(Array.from({ length: 1 + Math.floor(random() * 40) }, () => random() * 256));
  if (random() < 0.05) return noise();
  let bytes: Buffer;
  try {
    bytes = generate(somePacket(random, version), { protocolVersion: version });
  } catch {
    return noise();
  }
  if (random() < 0.7) return bytes;
  const changed = Buffer.from(bytes);
  const at = Math.floor(random() * changed.length);
  if (random() < 0.6) changed[at] = Math.floor(random() * 256);
  return random() < 0.8 ? changed : Buffer.concat([changed.subarray(0, at), noise()]);
}

function someConnect(random: Random, version: 4 | 5): Buffer {
  const clientId = pick(random, ["f1", "f2", "__proto__", "constructor", "\0hub"]);
  const will =
    random() < 0.3
      ? { will: { topic: pick(random, ["w", "#"]), payload: Buffer.from("w"), qos: 1 as const } }
      : {};
  const sessions =
    version === 5 && random() < 0.5 ? { properties: { sessionExpiryInterval: 100, receiveMaximum: 3 } } : {};
  const clean = random() < 0.5;
  const bytes = generate({
    cmd: "connect",
    clientId,
    clean,
    protocolVersion: version,
    keepalive: 0,
    ...will,
    ...sessions,
  });
  if (random() < 0.15) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return bytes;
}

async function attack(port: number, random: Random): Promise<void> {
  const version = pick(random, [4, 5] as const);
  const socket: Socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  const packets = Array.from({ length: 1 + Math.floor(random() * 30) }, () => someBytes(random, version));
  const bytes = Buffer.concat([someConnect(random, version), ...packets]);
  // In pieces, cut anywhere.
  for (let from = 0; from < bytes.length; ) {
    const to = from + 1 + Math.floor(random() * 400);
    socket.write(bytes.subarray(from, to));
    from = to;
    if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random() < 0.5) socket.end();
  else socket.destroy();
}

test.each([1, 2, 3])(
  `${CONNECTIONS} connections of valid, broken and random packets harm nobody, seed %i`,
  async (seed) => {
    const faults: unknown[] = [];
    const note = (fault: unknown): void => void faults.push(fault);
    process.on("uncaughtException", note).on("unhandledRejection", note);
    try {
      await using bench = await startBench();
      const healthy = await bench.subscriber("healthy", 1);
      const random = createPrng(seed);
      for (let count = 0; count < CONNECTIONS; count += 1) {
        const next = (): number => random.next();
        await attack(bench.port, next);
        if (count % 10 === 0) await bench.hub.deliver({ channel: pick(next, ["a", "a/b"]), qos: 1 });
      }
      for (const qos of [0, 1, 2] as const) {
        await bench.hub.deliver({ channel: "healthy", qos, payload: Buffer.from(String(qos)) });
      }
      await healthy.settled();
      expect(
        healthy
          .messages()
          .filter((one) => one !== "healthy x")
          .sort(),
      ).toEqual(["healthy 0", "healthy 1", "healthy 2"]);
      expect(faults).toEqual([]);
    } finally {
      process.off("uncaughtException", note).off("unhandledRejection", note);
    }
  },
);
