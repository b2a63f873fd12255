import type { Socket } from "node:dgram";
import { generate, type NamedOption, type Packet } from "coap-packet";
import { median } from "../ratio.ts";
import { residentMiB } from "./processor-time.ts";
import { payloadOf } from "./requests.ts";
import { greet, openSocket } from "./sockets.ts";
import type { Subject } from "./subjects.ts";

/** What an attacker sends. */
export interface Flood {
  readonly name: string;
  /** Sockets it comes from. */
  readonly sockets: number;
  /** How many of it a server must stand. */
  readonly full: number;
  /** The next datagram; `random` is uniform in [0, 1). */
  datagram(at: number, random: () => number): Buffer;
}

const EVERY_TOKEN = 0x1_0000_0000;
const LAST_BLOCK = 1_048_575;
const MORE = 8;
const SZX_1024 = 6;
const GIBIBYTE = Buffer.of(0x40, 0, 0, 0);
const ONE_BLOCK = Buffer.alloc(1_024, 0x2a);

const path = (...levels: readonly string[]): NamedOption[] =>
  levels.map((level) => ({ name: "Uri-Path", value: Buffer.from(level) }));
const block1 = (number: number): NamedOption => {
  const value = number * 16 + MORE + SZX_1024;
  return { name: "Block1", value: Buffer.of(value >> 16, value >> 8, value) };
};

/** A request whose message id and token are those of its number. */
function numbered(at: number, packet: Packet): Buffer {
  const token = Buffer.alloc(4);
  token.writeUInt32BE(at % EVERY_TOKEN);
  return generate({ confirmable: true, messageId: at & 0xffff, token, ...packet }, 2_048);
}

/** The attacks that issue after issue of other servers tells of. */
export const floods: readonly Flood[] = [
  { name: "fuzzed datagrams", sockets: 4, full: 1_000_000, datagram: fuzzed },
  {
    name: "registrations from one peer",
    sockets: 1,
    full: 50_000,
    datagram: (at) =>
      numbered(at, {
        code: "GET",
        options: [{ name: "Observe", value: Buffer.alloc(0) }, ...path("bench", "temperature")],
      }),
  },
  {
    name: "abandoned uploads",
    sockets: 8,
    full: 100_000,
    datagram: (at) =>
      numbered(at, { code: "PUT", options: [...path("bench", `${at}`), block1(0)], payload: ONE_BLOCK }),
  },
  {
    name: "blocks numbered 1048575",
    sockets: 4,
    full: 20_000,
    datagram: (at) =>
      numbered(at, {
        code: "PUT",
        options: [...path("bench", "end"), block1(LAST_BLOCK)],
        payload: ONE_BLOCK,
      }),
  },
  {
    name: "uploads that announce 1 GiB",
    sockets: 4,
    full: 20_000,
    datagram: (at) =>
      numbered(at, {
        code: "PUT",
        options: [...path("bench", `${at % 64}`), block1(0), { name: "Size1", value: GIBIBYTE }],
        payload: ONE_BLOCK,
      }),
  },
];

/** Random bytes, or a good request with some of its bytes changed, cut off or doubled. */
function fuzzed(at: number, random: () => number): Buffer {
  const below = (most: number): number => Math.floor(random() * most);
  if (random() < 0.3) return Buffer.from(Array.from({ length: below(64) }, () => below(256)));
  const observe: NamedOption[] = random() < 0.3 ? [{ name: "Observe", value: Buffer.alloc(0) }] : [];
  // A channel of its own: what it may set or delete by chance is not what others ask for.
  const options = path("bench", "fuzz");
  const request =
    random() < 0.95
      ? numbered(at, { code: "GET", options: [...observe, ...options] })
      : numbered(at, { code: "PUT", options, payload: payloadOf(at % 100) });
  for (let changes = 1 + below(3); changes > 0; changes -= 1) request[below(request.length)] = below(256);
  return random() < 0.3 ? request.subarray(0, below(request.length)) : request;
}

/** What a flood did. */
export interface Poured {
  /** Milliseconds until somebody else was answered while it lasted: the middle one, and the longest. */
  readonly answerMs: { readonly median: number; readonly most: number };
  /** MiB that the server held more than before, at most. */
  readonly grownMiB: number;
}

const BATCH = 128;
const LOOK_EVERY = 16;

/** Pours so many datagrams of a flood, and asks for a value after each few; rejects when no answer comes. */
export async function pour({ port, pid }: Subject, flood: Flood, count: number): Promise<Poured> {
  const probe = await openProbe(port);
  const sockets = await Promise.all(Array.from({ length: flood.sockets }, () => openSocket(port)));
  for (const socket of sockets) socket.on("error", () => undefined);
  const random = seeded(1);
  await probe.ask();
  const before = residentMiB(pid);
  let most = before;
  const took: number[] = [];
  for (let at = 0; at < count; ) {
    for (const end = Math.min(at + BATCH, count); at < end; at += 1)
      sockets[at % sockets.length]?.send(flood.datagram(at, random));
    took.push(await probe.ask());
    if (took.length % LOOK_EVERY === 0) most = Math.max(most, residentMiB(pid));
  }
  most = Math.max(most, residentMiB(pid));
  for (const socket of [...sockets, probe.socket]) socket.close();
  return {
    answerMs: { median: median(took), most: Math.max(...took) },
    grownMiB: most - before,
  };
}

interface Probe {
  readonly socket: Socket;
  /** Milliseconds until a GET was answered with the value. */
  ask(): Promise<number>;
}

const CONTENT = 0x45;
const SILENT_MS = 30_000;

async function openProbe(port: number): Promise<Probe> {
  const socket = await openSocket(port);
  const token = Buffer.of(0xee, 0xbe, 0x4c, 0x14);
  let messageId = 1;
  await greet(socket, { code: "PUT", messageId, token, payload: payloadOf(1) });
  return {
    socket,
    async ask() {
      messageId = (messageId + 1) & 0xffff;
      const started = performance.now();
      const silent = Promise.withResolvers<Buffer>();
      const given = setTimeout(() => silent.reject(new Error("it does not answer any more")), SILENT_MS);
      try {
        const answer = await Promise.race([greet(socket, { code: "GET", messageId, token }), silent.promise]);
        if (answer[1] !== CONTENT) throw new Error(`it answers a GET with code ${answer[1]}`);
      } finally {
        clearTimeout(given);
      }
      return performance.now() - started;
    },
  };
}

/** Mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
