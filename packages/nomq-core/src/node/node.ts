import type { AbortOptions } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import { isValidChannel } from "../message.ts";
import type { Endpoint, Transport } from "../transport.ts";
import { assemble, type Parts } from "./assemble.ts";
import type {
  IncomingMessage,
  MessagesOptions,
  NodeBroadcastOptions,
  NodePublishOptions,
  NodeStatus,
  NomqNode,
  NomqNodeOptions,
  NomqPeer,
  NomqReceiver,
  PeerName,
  PresenceChange,
  PublishOutcome,
  TransferIds,
} from "./contract.ts";
import { type PeerEntry, viewOf } from "./peers/peer-entry.ts";
import { ENDED, isEndedMark } from "./receiving/ended.ts";
import { refused } from "./sending/publishing.ts";

export type * from "./contract.ts";
export { MAX_DEVICE_MESSAGE } from "./sending/wire.ts";

/** Makes a node; nothing is opened before `start`. Throws `key-invalid` without a usable key. */
export function createNomqNode(options: NomqNodeOptions): NomqNode {
  if (options.keys.length === 0) throw new NomqError("key-invalid", "a node needs at least one key");
  return new Node(options);
}

function listOf(to: PeerName | readonly PeerName[]): readonly PeerName[] {
  return typeof to === "string" || "host" in to ? [to] : to;
}

class Node implements NomqNode {
  readonly #parts: Parts;
  readonly #options: NomqNodeOptions;
  #receiver: NomqReceiver | undefined;
  #opened: Transport | undefined;
  /** Present once answers are heard: what left before would be taken and never known to be. */
  #transport: Transport | undefined;
  #starting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #sayThrown = true;

  constructor(options: NomqNodeOptions) {
    this.#options = options;
    this.#parts = assemble(options, {
      transport: () => this.#transport,
      receiver: () => this.#receiver,
    });
    for (const name of options.channels ?? []) this.#know(name);
  }

  get sessionId(): number {
    return this.#parts.sessions.id;
  }

  async restore(state: AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>): Promise<void> {
    const records: (readonly [Uint8Array, Uint8Array])[] = [];
    for await (const record of state) records.push(record);
    const { windows, peers, sessions, time } = this.#parts;
    sessions.restore(records);
    const hasEnded = records.length === 0 || records.some(([key]) => isEndedMark(key));
    windows.restore(records, time.seconds(), hasEnded ? "end" : "crash");
    peers.recall(windows.all());
  }

  receive(receiver: NomqReceiver): void {
    const isTaken = receiver.message !== undefined && this.#parts.arrivals.readers > 0;
    if (isTaken) throw new NomqError("receiver-in-use", "messages are being iterated; receive them there");
    this.#receiver = receiver;
  }

  messages(options: MessagesOptions = {}): AsyncIterable<IncomingMessage> {
    if (this.#receiver?.message === undefined) return this.#parts.arrivals.messages(options);
    throw new NomqError("receiver-in-use", "a receiver takes the messages; leave its message method out");
  }

  async start(): Promise<void> {
    this.#refuseStopped();
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    await this.#starting;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  local(): Endpoint | undefined {
    return this.#opened?.local;
  }

  async publish(
    channel: string,
    payload: Uint8Array,
    options: NodePublishOptions = {},
  ): Promise<PublishOutcome> {
    if (this.#transport === undefined || this.#stopped !== undefined) return refused("closed");
    return this.#parts.publishing.publish(channel, payload, options);
  }

  newTransfer(): TransferIds {
    return this.#parts.outgoing.newTransfer();
  }

  async broadcast(
    channel: string,
    payload: Uint8Array,
    options: NodeBroadcastOptions = {},
  ): Promise<PublishOutcome> {
    if (this.#transport === undefined || this.#stopped !== undefined) return refused("closed");
    if (!isValidChannel(channel)) return refused("channel-invalid");
    const { broadcasts, names, limits } = this.#parts;
    if (payload.length > limits.message) return refused("too-large");
    return broadcasts.send({ channelId: names.idOf(channel), payload }, options);
  }

  async subscribe(channel: string, to: PeerName | readonly PeerName[]): Promise<void> {
    this.#refuseStopped();
    const { names, subscribing } = this.#parts;
    this.#know(channel);
    const peers = listOf(to).map((each) => this.#reach(each));
    for (const peer of peers) subscribing.add(peer, { name: channel, id: names.idOf(channel) });
  }

  async unsubscribe(channel: string, to: PeerName | readonly PeerName[]): Promise<void> {
    const { names, subscribing } = this.#parts;
    const peers = listOf(to).map((each) => this.#reach(each));
    for (const peer of peers) subscribing.remove(peer, { name: channel, id: names.idOf(channel) });
  }

  /** As `learn`, but throws when there is no room. */
  #know(name: string): void {
    if (this.learn(name) || !isValidChannel(name)) return;
    const { channels } = this.#parts.limits;
    throw new NomqError(
      "limit-reached",
      `no room for "${name}" beside ${channels} channels; raise limits.channels`,
    );
  }

  learn(name: string): boolean {
    const { names, rejections } = this.#parts;
    const known = names.learn(name);
    if (known) rejections.named(names.idOf(name));
    return known;
  }

  peer(of: string | Endpoint): NomqPeer | undefined {
    const entry = this.#parts.peers.find(of);
    return entry === undefined ? undefined : viewOf(entry);
  }

  async probe(to: string | Endpoint): Promise<boolean> {
    if (this.#transport === undefined || this.#stopped !== undefined) return false;
    const isThere = this.#parts.probing.probe(this.#reach(to));
    if (isThere !== undefined) return isThere;
    throw new NomqError("config-invalid", "no channel of the peer is known; name one under its channels");
  }

  presence(options: AbortOptions = {}): AsyncIterable<PresenceChange> {
    return this.#parts.presence.changes(options);
  }

  status(): NodeStatus {
    const { ingress, rejections, wire, peers, windows, incoming, outgoing } = this.#parts;
    return {
      accepted: ingress.accepted,
      rejected: rejections.counts(),
      sent: wire.sent,
      unknownChannels: rejections.unknownChannels(),
      unknownClocks: rejections.unknownClocks(),
      held: { peers: peers.size, sessions: windows.size, transfers: incoming.held + outgoing.open },
    };
  }

  #refuseStopped(): void {
    if (this.#stopped !== undefined) throw new NomqError("closed", "the node was stopped");
  }

  async #start(): Promise<void> {
    const { transport } = this.#options;
    const opened = typeof transport === "function" ? await transport() : transport;
    if (this.#stopped !== undefined) await opened[Symbol.asyncDispose]();
    this.#refuseStopped();
    this.#opened = opened;
    // From now on a crash costs notes.
    await this.#parts.journal.start([...this.#parts.sessions.begin(), { key: ENDED.key }]);
    this.#refuseStopped();
    opened.onDatagram((datagram, from) => this.#take(datagram, from));
    this.#transport = opened;
    this.#parts.probing.start();
  }

  /** A receiver that throws must not let a datagram end the process. */
  #take(datagram: Uint8Array, from: Endpoint): void {
    try {
      this.#parts.ingress.receive(datagram, from);
    } catch (error) {
      if (this.#sayThrown)
        this.#options.log?.error("a receiver has thrown; said once", { error: String(error) });
      this.#sayThrown = false;
    }
  }

  async #stop(): Promise<void> {
    const {
      arrivals,
      broadcasts,
      journal,
      outgoing,
      presence,
      probing,
      rejections,
      subscribing,
      turns,
      peers,
    } = this.#parts;
    broadcasts.stop();
    subscribing.stop();
    probing.stop();
    presence.stop();
    arrivals.stop();
    outgoing.stop();
    for (const peer of peers.all()) turns.clear(peer);
    rejections.stop();
    // What is being opened is closed by whoever opens it.
    await this.#starting?.catch(() => undefined);
    // One that was handed in open is closed though it was never used.
    const { transport } = this.#options;
    const open = this.#opened ?? (typeof transport === "function" ? undefined : transport);
    await open?.[Symbol.asyncDispose]();
    await journal.end(this.#opened === undefined ? [] : [ENDED]);
  }

  #reach(to: string | Endpoint): PeerEntry {
    const peer = this.#parts.peers.reach(to);
    if (peer !== undefined) return peer;
    if (typeof to === "string") throw new NomqError("config-invalid", `no peer is called "${to}"`);
    throw new NomqError("limit-reached", "no room for another peer; raise limits.peers");
  }
}
