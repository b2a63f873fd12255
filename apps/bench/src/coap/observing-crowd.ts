// Observers in a process of their own, each with a socket of its own; the same process publishes.
import type { Socket } from "node:dgram";
import { median } from "../ratio.ts";
import type { FromCrowd, ToCrowd } from "./messages.ts";
import { acknowledgementOf, numberIn, payloadOf } from "./requests.ts";
import { greet, openSocket } from "./sockets.ts";

const TOKEN = Buffer.of(0xc0, 0xbe, 0x4c, 0x13);
const AT_ONCE = 64;
/** When nothing has come for so long, those who lack it are not waited for. */
const QUIET_MS = 3_000;

let sockets: Socket[] = [];
let publisher: Socket | undefined;
let published = 0;
let messageId = 0;
/** Who has not had the value that was published last. */
let lacking = 0;
let told: (() => void) | undefined;
let lastAt = 0;

async function register(port: number, observers: number, confirmable: boolean): Promise<FromCrowd> {
  publisher = await openSocket(port);
  await publish();
  for (let from = 0; from < observers; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, observers - from);
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => observer(port, confirmable)))));
  }
  return { count: sockets.length, ms: 0 };
}

async function observer(port: number, confirmable: boolean): Promise<Socket> {
  const socket = await openSocket(port);
  await greet(socket, { code: "GET", messageId: 1, token: TOKEN, observe: true, confirmable });
  let last = published;
  socket.on("message", (datagram) => {
    const first = datagram[0] ?? 0;
    // CON is answered (type 0), NON is not (type 1).
    if (((first >> 4) & 3) === 0) socket.send(acknowledgementOf(datagram.readUInt16BE(2)));
    const marker = datagram.lastIndexOf(0xff);
    const value = marker < 0 ? last : numberIn(datagram.subarray(marker + 1));
    if (value <= last || Number.isNaN(value)) return;
    last = value;
    lastAt = performance.now();
    if (value === published && --lacking === 0) told?.();
  });
  return socket;
}

async function publish(): Promise<void> {
  if (publisher === undefined) throw new Error("nobody is registered");
  published += 1;
  messageId += 2;
  await greet(publisher, {
    ...{ code: "PUT", messageId, token: TOKEN, payload: payloadOf(published) },
  });
}

async function publishAll(times: number): Promise<FromCrowd> {
  const took: number[] = [];
  let count = 0;
  for (let time = 0; time < times; time += 1) {
    lacking = sockets.length;
    const all = Promise.withResolvers<void>();
    told = all.resolve;
    const started = performance.now();
    lastAt = started;
    const quiet = setInterval(() => {
      if (performance.now() - lastAt > QUIET_MS) all.resolve();
    }, QUIET_MS / 10);
    await Promise.all([publish(), all.promise]);
    clearInterval(quiet);
    took.push(lastAt - started);
    count += sockets.length - lacking;
  }
  return { count, ms: median(took) };
}

function leave(): FromCrowd {
  const count = sockets.length;
  for (const socket of [...sockets, ...(publisher === undefined ? [] : [publisher])]) socket.close();
  sockets = [];
  publisher = undefined;
  return { count, ms: 0 };
}

async function take(message: ToCrowd): Promise<FromCrowd> {
  switch (message.is) {
    case "register":
      return register(message.port, message.observers, message.confirmable);
    case "publish":
      return publishAll(message.times);
    case "leave":
      return leave();
  }
}

// What the parent sends is done one after the other.
process.on("message", (message: ToCrowd) => void take(message).then((answer) => process.send?.(answer)));
process.on("disconnect", () => process.exit());
process.send?.("ready");
