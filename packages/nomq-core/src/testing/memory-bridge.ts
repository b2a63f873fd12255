import type { Attachment, Bridge, Port, Receipt } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import type { Draft } from "../message.ts";
import { createStatusFeed } from "../status-feed.ts";
import { createToyPeer, type ToyPeer, type ToyPeerOptions } from "./toy-peer.ts";

/** A bridge without a network: its protocol is method calls. */
export interface MemoryBridge extends Bridge {
  /** Attaches a peer as `BRIDGE:NAME`. Rejects with `closed` unless the bridge runs. */
  connect(options: ToyPeerOptions): Promise<MemoryClient>;
  /** The clients attached now, those of the options too. */
  clients(): readonly MemoryClient[];
  /** Messages in that the hub refused. */
  refusals(): number;
}

/** One peer of a {@link MemoryBridge}. Disposing detaches it. */
export interface MemoryClient extends AsyncDisposable {
  readonly peer: ToyPeer;
  readonly attachment: Attachment;
  /** Publishes as this peer and resolves with the hub's receipt at `stored`. */
  publish(draft: Draft, once?: string): Promise<Receipt>;
}

/** Options of {@link createMemoryBridge}. */
export interface MemoryBridgeOptions {
  /** Default `memory`. */
  readonly name?: string;
  /** Peers that are attached with the bridge, as configured devices are. */
  readonly peers?: readonly ToyPeerOptions[];
  /** Makes every `start` reject. Default false. */
  readonly failStart?: boolean;
}

/** How long a stop waits for publishes that the hub has not answered. */
const GRACE_MS = 5_000;

/** Makes a bridge whose peers are in this process; nothing happens before `attach`. */
export function createMemoryBridge(options: MemoryBridgeOptions = {}): MemoryBridge {
  const { name = "memory", peers = [], failStart = false } = options;
  const clients = new Set<MemoryClient>();
  const inFlight = new Set<Promise<unknown>>();
  let port: Port | undefined;
  let running = false;
  let refusals = 0;
  const feed = createStatusFeed(() => port?.clock.now() ?? 0);

  const tracked = async <T>(work: Promise<T>): Promise<T> => {
    inFlight.add(work);
    try {
      return await work;
    } finally {
      inFlight.delete(work);
    }
  };
  const join = async (through: Port, own: ToyPeerOptions): Promise<MemoryClient> => {
    const peer = createToyPeer({ ...own, name: `${name}:${own.name}` });
    const attachment = await through.attach(peer.connect());
    const client: MemoryClient = {
      peer,
      attachment,
      async publish(draft, once) {
        const from = { attachment: attachment.name, ...(once === undefined ? {} : { once }) };
        const receipt = await tracked(through.publish(draft, "anonymous", from));
        if (receipt.at === "refused") refusals += 1;
        return receipt;
      },
      async [Symbol.asyncDispose]() {
        clients.delete(client);
        await attachment[Symbol.asyncDispose]();
      },
    };
    clients.add(client);
    return client;
  };
  /** Waits for publishes under way, but not for a store that does not answer. */
  const drain = async (): Promise<void> => {
    if (port === undefined || inFlight.size === 0) return;
    const grace = Promise.withResolvers<void>();
    const cancel = port.clock.after(GRACE_MS, grace.resolve);
    await Promise.race([Promise.allSettled(inFlight), grace.promise]);
    cancel();
  };
  const stop = async (): Promise<void> => {
    running = false;
    await drain();
    await Promise.all([...clients].map((client) => client[Symbol.asyncDispose]()));
    feed.set("closed");
  };

  return {
    name,
    async attach(given) {
      port = given;
      feed.set("starting");
      for (const own of peers) await join(given, own);
    },
    start() {
      if (failStart) {
        feed.set("closed", "told to fail");
        return Promise.reject(new NomqError("listen-failed", "the memory bridge was told to fail"));
      }
      running = true;
      feed.set("ready");
      return Promise.resolve();
    },
    stop,
    status: feed.current,
    statusChanges: feed.changes,
    addresses: () => (running ? [`${name}://here`] : []),
    connect(own) {
      if (port === undefined || !running) {
        return Promise.reject(new NomqError("closed", `${name} does not run`));
      }
      return join(port, own);
    },
    clients: () => [...clients],
    refusals: () => refusals,
    [Symbol.asyncDispose]: stop,
  };
}
