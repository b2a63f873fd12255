// Sends datagrams that are no packets of ours to 127.0.0.1, at a steady rate, bounded in number and time:
//   node junk-sender.ts PORT PER_SECOND SECONDS
// and prints how many it sent.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { setImmediate as nextTurn } from "node:timers/promises";
import { seal, unixSeconds } from "./seal.ts";

const [port = 0, perSecond = 0, seconds = 0] = process.argv.slice(2).map(Number);
const total = Math.min(perSecond * seconds, 2_000_000);
const foreignKey = { encryption: randomBytes(32), mac: randomBytes(32) };

/** Every kind of junk: noise, noise with our magic, cut packets, packets of a key we do not have, too long ones. */
function makeJunk(at: number): Buffer {
  const foreign = seal(foreignKey, {
    sessionId: at,
    timestamp: unixSeconds(),
    channel: "a/b",
    message: "x".repeat(at * 5),
  });
  const kinds = [
    () => randomBytes(1 + at * 11),
    () => Buffer.concat([Buffer.from("NM"), randomBytes(at * 7)]),
    () => foreign.subarray(0, at),
    () => foreign,
    () => Buffer.concat([foreign, randomBytes(1400 - at)]),
  ];
  return kinds[at % kinds.length]?.() ?? Buffer.alloc(0);
}

const junk = Array.from({ length: 100 }, (_, at) => makeJunk(at));
const socket = createSocket({ type: "udp4", sendBufferSize: 4 * 1024 * 1024 });
const sendOne = (datagram: Buffer): Promise<void> =>
  // A full socket buffer loses a datagram; junk may be lost.
  new Promise((resolve) => socket.send(datagram, port, "127.0.0.1", () => resolve()));

const started = performance.now();
let sent = 0;
while (sent < total && performance.now() - started < seconds * 3000) {
  const due = Math.min(((performance.now() - started) / 1000) * perSecond, total);
  const burst: Promise<void>[] = [];
  for (; sent < due && burst.length < 256; sent += 1) {
    burst.push(sendOne(junk[sent % junk.length] ?? Buffer.alloc(0)));
  }
  await Promise.all(burst);
  await nextTurn();
}
socket.close();
process.stdout.write(`${JSON.stringify({ sent, seconds: (performance.now() - started) / 1000 })}\n`);
