// Requests in a process of their own: 64 on the way at once, over 4 sockets with 16 each.
import type { Socket } from "node:dgram";
import type { Load, Loaded } from "./messages.ts";
import { payloadOf, requestOf } from "./requests.ts";
import { greet, openSocket } from "./sockets.ts";

const SOCKETS = 4;
const PER_SOCKET = 16;
const STALLED_MS = 20_000;
const CODE_AT = 1;
const MESSAGE_ID_AT = 2;
const TOKEN_AT = 4;
const SUCCESS_CLASS = 2;

/** One of those that are on the way at once: it has its own bytes, and its number is its token's first byte. */
type Slot = Buffer;

/** Sends, and counts what comes back. Sockets are new for each load: a message id is used once on each. */
async function run({ port, ask, requests }: Load): Promise<Loaded> {
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => openSocket(port)));
  if (ask !== "echo") await Promise.all(sockets.map(prove));
  const counts = { sent: 0, answered: 0, wrong: 0 };
  const done = Promise.withResolvers<void>();
  const stalled = setTimeout(() => {
    done.reject(new Error(`stalled: ${counts.sent} sent, ${counts.answered} answered`));
  }, STALLED_MS);
  const started = performance.now();
  for (const socket of sockets) {
    const slots = Array.from({ length: PER_SOCKET }, (_, at) => slotOf(ask, at));
    let messageId = 0;
    const send = (slot: Slot): void => {
      if (counts.sent >= requests) return;
      counts.sent += 1;
      messageId += 1;
      slot.writeUInt16BE(messageId & 0xffff, MESSAGE_ID_AT);
      socket.send(slot);
    };
    socket.on("message", (datagram) => {
      const code = datagram[CODE_AT] ?? 0;
      if (code === 0) return;
      if (code >> 5 !== SUCCESS_CLASS && ask !== "echo") counts.wrong += 1;
      counts.answered += 1;
      if (counts.answered === requests) done.resolve();
      else send(slots[datagram[TOKEN_AT] ?? 0] ?? slotOf(ask, 0));
    });
    for (const slot of slots) send(slot);
  }
  await done.promise;
  const seconds = (performance.now() - started) / 1_000;
  clearTimeout(stalled);
  for (const socket of sockets) socket.close();
  return { seconds, wrong: counts.wrong };
}

function slotOf(ask: Load["ask"], at: number): Slot {
  const token = Buffer.of(at, 0xbe, 0x4c, 0x11);
  // The echo gets the larger of the two requests.
  return ask === "get"
    ? requestOf({ code: "GET", messageId: 0, token })
    : requestOf({ code: "PUT", messageId: 0, token, payload: payloadOf(at) });
}

/** Writes the value that is read, and lets the server see that this address is ours. */
async function prove(socket: Socket): Promise<void> {
  const token = Buffer.of(0xff, 0xbe, 0x4c, 0x12);
  await greet(socket, { code: "PUT", messageId: 0xff00, token, payload: payloadOf(0) });
  await greet(socket, { code: "GET", messageId: 0xff80, token });
}

// What the parent sends are loads, one at a time.
process.on("message", (load: Load) => void run(load).then((loaded) => process.send?.(loaded)));
process.on("disconnect", () => process.exit());
process.send?.("ready");
