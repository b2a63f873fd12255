import { createNomqNode, type NodeStatus, type NomqNode, openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device, type V1Driver } from "@nomq/core/testing";
import { vectorKey } from "../real/vectors.ts";
import type { Book, Sent } from "./book.ts";
import type { Way } from "./relay.ts";

const HOST = "127.0.0.1";

/** Where a party of NoMQ stands: its way through the relay, and the book. */
export interface NomqPartyOptions {
  readonly name: string;
  readonly way: Way;
  readonly book: Book;
  /** Names it knows. */
  readonly channels: readonly string[];
}

/** A node of ours, which sends until it is answered. */
export interface NodeParty extends AsyncDisposable {
  /** Publishes to the gateway, again until it has acknowledged; resolves then, or when disposed. */
  publish(sent: Sent): Promise<void>;
  /** What it took, refused and sent. */
  status(): NodeStatus;
}

/** Opens a node behind its way. */
export async function openNodeParty({ name, way, book, channels }: NomqPartyOptions): Promise<NodeParty> {
  const transport = await openUdpTransport({ host: HOST, port: 0 });
  way.serve(transport.local.port);
  const gateway = { host: HOST, port: way.port };
  const node: NomqNode = createNomqNode({
    transport,
    keys: [{ id: "site", ...vectorKey, dialect: "auto" }],
    channels,
    peers: [{ name: "gateway", address: gateway, kind: "node" }],
    limits: { channels: 1_000, pending: 4_096 },
  });
  node.receive({
    async message({ channel, payload, qos }) {
      book.receive(name, { id: Buffer.from(payload).toString(), channel, qos });
      return { is: "accepted" };
    },
  });
  await node.start();
  const ended = new AbortController();
  return {
    async publish(sent) {
      let continued: { packetId: number; sessionId: number } | undefined;
      while (!ended.signal.aborted) {
        const payload = Buffer.from(sent.clears ? "" : sent.id);
        const outcome = await node.publish(sent.channel, payload, {
          to: gateway,
          qos: sent.qos,
          retain: sent.retain,
          signal: ended.signal,
          ...(sent.endsAt !== undefined && { ttl: Math.ceil((sent.endsAt - Date.now()) / 1000) }),
          ...continued,
        });
        if (outcome.is === "refused") book.fail(new Error(`${sent.id} refused: ${outcome.reason}`));
        if (sent.qos === 0) book.settle(sent, "unknown");
        if (outcome.is === "delivered") book.settle(sent, "acked");
        if (sent.is !== "sent" || outcome.is === "refused") return;
        const { packetId, sessionId } = outcome;
        if (sessionId !== 0) continued = { packetId, sessionId };
      }
    },
    status: () => node.status(),
    async [Symbol.asyncDispose]() {
      ended.abort();
      await node.stop();
    },
  };
}

/** A board that runs the original code. */
export interface BoardParty extends AsyncDisposable {
  readonly driver: V1Driver;
  /** Publishes once, as boards do; `unknown` when no answer has come while `isHopeless` was false. */
  publish(sent: Sent, isHopeless: () => boolean): Promise<void>;
}

/** Opens a board behind its way. What reaches its program stands in the book. */
export async function openBoardParty(options: NomqPartyOptions): Promise<BoardParty> {
  const { name, way, book, channels } = options;
  const transport = await openUdpTransport({ host: HOST, port: 0 });
  way.serve(transport.local.port);
  const driver = runV1Device({
    transport,
    clock: systemClock,
    ...vectorKey,
    channels,
  });
  let noted = 0;
  const note = (): boolean => {
    for (const { channel, text } of driver.delivered.slice(noted)) {
      noted += 1;
      book.receive(name, { id: text, channel, qos: 0 });
    }
    book.touch();
    return false;
  };
  // Never resolves: asked at every datagram, it writes down what came.
  driver.until(note, { timeoutMs: 2 ** 31 - 1 }).catch(() => undefined);
  const gateway = { host: HOST, port: way.port };
  return {
    driver,
    async publish(sent, isHopeless) {
      const { channel, qos, retain } = sent;
      const packetId = await driver.publish({ channel, message: sent.id, qos, retain }, gateway);
      if (packetId === undefined) throw new Error(`the board refused: ${driver.log.at(-1)}`);
      const isAnswered = (): boolean => {
        const state = driver.pending().get(packetId);
        return state === undefined || state === "PUBREL_SENT";
      };
      await book.until(() => isAnswered() || isHopeless(), { missing: () => `an answer to ${sent.id}` });
      book.settle(sent, isAnswered() ? "acked" : "unknown");
    },
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}
