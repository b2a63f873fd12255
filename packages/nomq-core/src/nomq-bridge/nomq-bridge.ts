import { listenUrl, parseEndpoint, parseListen } from "../address.ts";
import type { AbortOptions, Attachment, Bridge, BridgeStatus, Port } from "../bridge.ts";
import { systemClock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { createMappingLosses, type MappingLoss } from "../mapping.ts";
import type {
  IncomingMessage,
  NodeLimits,
  NodeStatus,
  NomqNode,
  NomqNodeOptions,
  Verdict,
} from "../node/contract.ts";
import { createNomqNode } from "../node/node.ts";
import { noRejections } from "../node/receiving/rejections.ts";
import { createStatusFeed, type StatusFeed } from "../status-feed.ts";
import type { TimeServiceCounts } from "../time-service/time-service.ts";
import type { Endpoint } from "../transport.ts";
import { ackSettings, urlOf } from "./ack-settings.ts";
import { type Announced, createAnnounced } from "./announced.ts";
import { attachBroadcasts, type BroadcastAttachments } from "./broadcasts.ts";
import { attachDevice, peerOf } from "./devices.ts";
import { contentTypesOf, type InboundUse, nameOf } from "./inbound.ts";
import { createIntake, type Intake } from "./intake.ts";
import { createListeners, type Listeners, openUdpListener, pauseUnless } from "./listeners.ts";
import { createNames, type Names, type NomqNames } from "./names.ts";
import { createOpenTransfers } from "./open-transfers.ts";
import type { NomqBridgeOptions } from "./options.ts";
import { sessionEntry } from "./peer-records.ts";
import { createDevices, type DevicePresence, type Devices, welcome } from "./presence.ts";
import { createRefusals } from "./refusals.ts";
import { createTimeListener, type TimeListener } from "./time-listener.ts";

export type { NamedChannel, Naming, NamingFault, NomqNames } from "./names.ts";
export type * from "./options.ts";
export type { DevicePresence } from "./presence.ts";

/** The NoMQ side as a bridge, named `nomq`. */
export interface NomqBridge extends Bridge {
  /** Counts of the node behind it: rejected datagrams, channel ids without a name, odd clocks. */
  counts(): NomqBridgeCounts;
  /** Who of the configured devices and of the peers that have subscribed is there. */
  devices(): readonly DevicePresence[];
  /** Names that channels get at run time. */
  readonly names: NomqNames;
  /** `udp://HOST:PORT` of the time service; undefined where none listens. */
  timeAddress(): string | undefined;
}

/** What `/healthz` and metrics show of the NoMQ side. */
export interface NomqBridgeCounts extends NodeStatus {
  /** Peers with an attachment that are there and that are not. */
  readonly devices: { readonly online: number; readonly offline: number };
  /** Messages refused at ingress, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** What of messages could not be kept, from whom to whom (docs/mapping.md). */
  readonly lost: readonly MappingLoss[];
  /** Absent without a time service. */
  readonly time?: TimeServiceCounts;
}

/** A gateway knows every channel of its hub, whose store keeps what is retained. */
const GATEWAY_LIMITS: Partial<NodeLimits> = {
  channels: 1_000_000,
  pending: 65_536,
  transfers: 262_144,
  retained: 0,
  message: 65_507,
};

/** Makes the bridge; nothing is opened before `start`. Throws `config-invalid` for an address that is none. */
export function createNomqBridge(options: NomqBridgeOptions): NomqBridge {
  for (const device of options.devices ?? []) parseEndpoint(device.address);
  for (const address of options.broadcast ?? []) parseEndpoint(address);
  if ("listen" in options) {
    if (options.listen.length === 0) throw new NomqError("config-invalid", "nomq.listen is empty");
    for (const listener of options.listen) parseListen(urlOf(listener));
  }
  return new NomqSide(options);
}

class NomqSide implements NomqBridge {
  readonly name = "nomq";
  readonly names: Names = createNames();
  readonly #time: TimeListener;
  readonly #options: NomqBridgeOptions;
  readonly #feed: StatusFeed;
  readonly #refusals = createRefusals(() => this.#port);
  readonly #losses = createMappingLosses(() => this.#port?.log);
  readonly #ended = new AbortController();
  readonly #devices = new Map<string, Attachment>();
  readonly #peers: Devices = createDevices(
    ({ id }) => (this.#devices.get(id) ?? this.#announced?.attachmentOf(id))?.name,
  );
  #port: Port | undefined;
  #node: NomqNode | undefined;
  #announced: Announced | undefined;
  #broadcasts: BroadcastAttachments | undefined;
  #listeners: Listeners | undefined;
  #stopped: Promise<void> | undefined;
  #listening = false;
  readonly #intake: Intake = createIntake();

  constructor(options: NomqBridgeOptions) {
    this.#options = options;
    this.#time = createTimeListener(options, openUdpListener);
    this.#feed = createStatusFeed(() => (this.#port?.clock ?? systemClock).now());
  }

  async attach(port: Port): Promise<void> {
    this.#port = port;
    const node = "node" in this.#options ? this.#options.node : createNomqNode(this.#nodeOptions(port));
    this.#node = node;
    const transfers = createOpenTransfers();
    await node.restore(transfers.restore({ node, port }, this.names.restore({ node, port })));
    const isCut = (): boolean => this.#isCut();
    const { devices = [] } = this.#options;
    this.#announced = createAnnounced({ port, node, losses: this.#losses, devices, isCut });
    for (const device of devices) {
      this.#devices.set(
        device.name,
        await attachDevice(port, { node, losses: this.#losses, transfers }, device),
      );
      for (const filter of device.subscribe ?? []) node.learn(filter);
    }
    for (const channel of this.#options.channels ?? []) node.learn(nameOf(channel));
    this.#broadcasts = await attachBroadcasts(port, { node, losses: this.#losses }, this.#options);
    this.#receive(port, node);
  }

  async start(_options: AbortOptions = {}): Promise<void> {
    if (this.#node === undefined || this.#port === undefined) {
      throw new NomqError("closed", "the NoMQ bridge is not attached to a hub");
    }
    if (this.#listening) return;
    await this.#node.start();
    if (!this.#ended.signal.aborted) await this.#time.start(this.#port);
    if (this.#ended.signal.aborted) throw new NomqError("closed", "the NoMQ bridge was stopped");
    void this.#learnNames(this.#port, this.#node);
    void this.#peers.follow(this.#node, { port: this.#port, signal: this.#ended.signal });
    this.#listening = true;
    this.#showStatus();
  }

  stop(_options: AbortOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  status(): BridgeStatus {
    return this.#feed.current();
  }

  statusChanges(options: AbortOptions = {}): AsyncIterable<BridgeStatus> {
    return this.#feed.changes(options);
  }

  addresses(): readonly string[] {
    if (!this.#listening) return [];
    const local = this.#node?.local();
    const locals: readonly Endpoint[] = this.#listeners?.locals() ?? (local === undefined ? [] : [local]);
    return locals.map(listenUrl);
  }

  counts(): NomqBridgeCounts {
    const time = this.#time.counts();
    return {
      ...(this.#node?.status() ?? NOTHING),
      refused: this.#refusals.read(),
      devices: this.#peers.count(),
      lost: this.#losses.read(),
      ...(time === undefined ? {} : { time }),
    };
  }

  devices(): readonly DevicePresence[] {
    return this.#peers.list();
  }

  timeAddress(): string | undefined {
    return this.#time.address();
  }

  #nodeOptions(port: Port): NomqNodeOptions {
    const options = this.#options;
    if ("node" in options) throw new NomqError("config-invalid", "the node is given");
    const listeners = createListeners(options, () => this.#showStatus());
    this.#listeners = listeners;
    const { keys, pace, probe, random, devices = [] } = options;
    return {
      transport: () => listeners.open(port),
      keys,
      peers: devices.map(peerOf),
      clock: port.clock,
      log: port.log,
      limits: GATEWAY_LIMITS,
      ...(pace === undefined ? {} : { pace }),
      ...(probe === undefined ? {} : { probe }),
      ...(random === undefined ? {} : { random }),
    };
  }

  #receive(port: Port, node: NomqNode): void {
    const use: InboundUse = {
      port,
      pointFor: (from) => this.#listeners?.pointFor(from) ?? ackSettings(this.#options),
      attachmentOf: (incoming) => this.#attachmentOf(incoming),
      contentTypes: contentTypesOf(this.#options.channels),
      losses: this.#losses,
      refused: this.#refusals.add,
    };
    node.receive({
      message: (incoming) => this.#take(use, incoming),
      subscribed: (peer, channel) => {
        if (this.#ended.signal.aborted) return false;
        return this.#announced?.subscribed(peer, channel, this.#devices.get(peer.id));
      },
      unsubscribed: (peer, channel) => {
        if (this.#ended.signal.aborted) return;
        this.#announced?.unsubscribed(peer, channel, this.#devices.get(peer.id));
      },
      heard: (peer, why) => {
        if (this.#ended.signal.aborted) return;
        if (why === "first-contact") port.sessionLog.record(sessionEntry(peer));
        const attachment = this.#devices.get(peer.id) ?? this.#announced?.attachmentOf(peer.id);
        welcome(attachment, this.#isCut());
      },
      remember: (changes) => port.remember(changes),
    });
  }

  /** Whether no socket works: what is for peers waits until one does, whoever is heard of. */
  #isCut(): boolean {
    return this.#listeners?.status().state === "reconnecting";
  }

  #attachmentOf(incoming: IncomingMessage): string | undefined {
    const { id } = incoming.peer;
    const own = this.#devices.get(id) ?? this.#announced?.attachmentOf(id);
    return own?.name ?? this.#broadcasts?.originOf(incoming);
  }

  #showStatus(): void {
    if (!this.#listening || this.#ended.signal.aborted) return;
    const { state, reason } = this.#listeners?.status() ?? { state: "ready" };
    this.#feed.set(state, reason);
    pauseUnless(!this.#isCut(), [...this.#attachments(), ...(this.#announced?.all() ?? [])]);
  }

  #attachments(): readonly Attachment[] {
    return [...this.#devices.values(), ...(this.#broadcasts?.all() ?? [])];
  }

  async #take(use: InboundUse, incoming: IncomingMessage): Promise<Verdict> {
    if (this.#ended.signal.aborted) return { is: "refused", reason: "closing" };
    this.#broadcasts?.heard(incoming);
    return this.#intake.take(use, incoming);
  }

  async #learnNames(port: Port, node: NomqNode): Promise<void> {
    try {
      for await (const name of port.channels("#", { signal: this.#ended.signal })) node.learn(name);
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      const reason = error instanceof Error ? error.message : "unknown";
      port.log.warn("channel names are no longer learnt", { reason });
    }
  }

  async #stop(): Promise<void> {
    this.#ended.abort();
    const attachments = this.#attachments();
    await Promise.all([
      this.#intake.drain(this.#port?.clock ?? systemClock),
      this.#announced?.stop(),
      this.#time.stop(),
      ...attachments.map((attachment) => attachment[Symbol.asyncDispose]()),
    ]);
    // The answers of the last messages taken leave in the turns after their promises.
    await new Promise<void>((resolve) => setImmediate(resolve));
    await this.#node?.stop();
    this.#listening = false;
    this.#feed.set("closed");
  }
}

const NOTHING: NodeStatus = {
  accepted: 0,
  rejected: noRejections(),
  sent: 0,
  unknownChannels: [],
  unknownClocks: [],
  held: { peers: 0, sessions: 0, transfers: 0 },
};
