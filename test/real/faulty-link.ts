import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** What a link may do to those who use it. */
export type Fault =
  /** Both ends see an orderly close. */
  | "cut"
  /** Both ends see a reset. */
  | "reset"
  /** Bytes wait, connections stay: neither end sees anything. */
  | "stall"
  /** New connections are reset at once, and those there are cut. */
  | "refuse"
  /** New connections are taken, and nothing comes. */
  | "silence"
  /** What clients send is lost on the way, without a word: a connection that lost something is reset by {@link FaultyLink.heal}. */
  | "lose-sent"
  /** The same of what the server sends. */
  | "lose-answers";

/** A link between clients and one TCP server, through 127.0.0.1. Disposing cuts everything. */
export interface FaultyLink extends AsyncDisposable {
  readonly port: number;
  /** Connections that were made over it. */
  connections(): number;
  /** Begins a fault; `cut` and `reset` are over at once, the others last until {@link heal}. */
  fault(fault: Fault): void;
  /** All as it should be: what waited goes on. */
  heal(): void;
}

/** Numbers from 0 to below 1, the same for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes of it are gone: its rest would be no stream any more. */
  isTorn: boolean;
}

/** Opens a link to a port of 127.0.0.1. */
export async function openFaultyLink(to: number): Promise<FaultyLink> {
  const pairs = new Set<Pair>();
  const held = new Set<Socket>();
  let made = 0;
  let now: Fault | "none" = "none";
  const listener = createServer((client) => {
    made += 1;
    client.on("error", () => undefined);
    if (now === "refuse") client.resetAndDestroy();
    else if (now === "silence") {
      held.add(client);
      client.once("close", () => held.delete(client));
    } else join({ pairs, client, to, fault: () => now });
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const end = (how: "destroy" | "resetAndDestroy"): void => {
    for (const { client, server } of pairs) {
      client[how]();
      server[how]();
    }
    for (const client of held) client.destroy();
  };
  return {
    port: address.port,
    connections: () => made,
    fault(fault) {
      if (fault !== "cut" && fault !== "reset") now = fault;
      if (fault === "cut" || fault === "refuse") end("destroy");
      if (fault === "reset") end("resetAndDestroy");
      if (fault === "stall") for (const pair of pairs) hold(pair);
    },
    heal() {
      now = "none";
      for (const { client, server, isTorn } of pairs)
        for (const socket of [client, server])
          if (isTorn) socket.resetAndDestroy();
          else socket.resume();
      for (const client of held) client.destroy();
    },
    async [Symbol.asyncDispose]() {
      end("destroy");
      await new Promise((closed) => listener.close(closed));
    },
  };
}

interface Joining {
  readonly pairs: Set<Pair>;
  readonly client: Socket;
  readonly to: number;
  /** What is wrong now. */
  readonly fault: () => Fault | "none";
}

function join({ pairs, client, to, fault }: Joining): void {
  const server = connect(to, "127.0.0.1");
  const pair = { client, server, isTorn: false };
  pairs.add(pair);
  for (const [from, onto, lost] of [
    [client, server, "lose-sent"],
    [server, client, "lose-answers"],
  ] as const) {
    from.setNoDelay(true);
    from.on("error", () => undefined);
    from.on("data", (data) => {
      if (fault() === lost) pair.isTorn = true;
      else onto.write(data);
    });
    from.on("end", () => onto.end());
    from.on("close", () => {
      onto.destroy();
      pairs.delete(pair);
    });
  }
  if (fault() === "stall") hold(pair);
}

function hold({ client, server }: Pair): void {
  client.pause();
  server.pause();
}
