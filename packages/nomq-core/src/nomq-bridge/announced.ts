import type { Attachment, Port } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import { isValidFilter } from "../message.ts";
import type { NomqNode, NomqPeer } from "../node/contract.ts";
import { maxPayloadFor, WINDOW } from "./devices.ts";
import type { NomqDeviceOptions } from "./options.ts";
import { createOutbound } from "./outbound.ts";
import { subscriptionEntry } from "./peer-records.ts";

/** Peers that have said by SUBSCRIBE what they want: each has a volatile attachment, `nomq:HOST:PORT`. */
export interface Announced {
  /** False when its key may not have it, or the table is full. `device`: the peer's attachment from configuration, to which the channel is added. */
  subscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): boolean;
  /** What configuration gives a device stays. */
  unsubscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): void;
  /** A peer's attachment, once it has one. */
  attachmentOf(peerId: string): Attachment | undefined;
  all(): readonly Attachment[];
  stop(): Promise<void>;
}

/** What announced subscriptions work with. */
export interface AnnouncedUse {
  readonly port: Port;
  readonly node: NomqNode;
  readonly losses: MappingLosses;
  readonly devices: readonly NomqDeviceOptions[];
  /** Whether no socket works, so that attachments must wait. */
  readonly isCut: () => boolean;
}

const MOST_PEERS = 1000;

interface Entry {
  readonly peer: NomqPeer;
  /** The peer's attachment from configuration. */
  readonly device: Attachment | undefined;
  readonly wanted: Set<string>;
  readonly inForce: Set<string>;
  /** Its own; none for a device. */
  attachment: Attachment | undefined;
  /** One change at a time; what is said meanwhile is found when it is done, however often it was said. */
  changing: Promise<void> | undefined;
}

/** Makes the table; it holds at most 1,000 peers and refuses more. */
export function createAnnounced(use: AnnouncedUse): Announced {
  return new AnnouncedPeers(use);
}

class AnnouncedPeers implements Announced {
  readonly #use: AnnouncedUse;
  readonly #peers = new Map<string, Entry>();
  /** Those of configuration, which are few enough. */
  readonly #devices = new Map<string, Entry>();
  /** What configuration gives each device. */
  readonly #configured: ReadonlyMap<string, readonly string[]>;

  constructor(use: AnnouncedUse) {
    this.#use = use;
    this.#configured = new Map(use.devices.map(({ name, subscribe = [] }) => [name, subscribe]));
  }

  subscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): boolean {
    if (!isValidFilter(channel)) return false;
    if (device !== undefined && this.#configured.get(peer.id)?.includes(channel) === true) return true;
    if (!this.#mayHave(peer, channel)) return false;
    const entry = this.#entryOf(peer, device);
    if (entry === undefined) return false;
    if (!entry.wanted.has(channel)) this.#record(peer, "subscription.added", channel);
    entry.wanted.add(channel);
    this.#change(entry);
    return true;
  }

  unsubscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): void {
    const entry = (device === undefined ? this.#peers : this.#devices).get(peer.id);
    if (entry?.wanted.delete(channel) !== true) return;
    this.#record(peer, "subscription.removed", channel);
    this.#change(entry);
  }

  attachmentOf(peerId: string): Attachment | undefined {
    return this.#peers.get(peerId)?.attachment;
  }

  all(): readonly Attachment[] {
    return [...this.#peers.values()].flatMap(({ attachment }) => attachment ?? []);
  }

  async stop(): Promise<void> {
    const entries = [...this.#devices.values(), ...this.#peers.values()];
    await Promise.all(entries.flatMap(({ changing }) => changing ?? []));
    await Promise.all(this.all().map((attachment) => attachment[Symbol.asyncDispose]()));
    this.#peers.clear();
  }

  /** NoMQ answers no SUBSCRIBE: the peer says it again every minute, and gets the channel once it may have it. */
  #mayHave({ id, key }: NomqPeer, channel: string): boolean {
    const { port } = this.#use;
    if (port.extent(`nomq:${key}`, "subscribe", channel) !== "none") return true;
    const details = { peer: id, filter: channel, reason: "access" };
    port.sessionLog.record({ who: `nomq:${key}`, what: "subscription.refused", details });
    return false;
  }

  #record(...said: Parameters<typeof subscriptionEntry>): void {
    this.#use.port.sessionLog.record(subscriptionEntry(...said));
  }

  #entryOf(peer: NomqPeer, device: Attachment | undefined): Entry | undefined {
    const table = device === undefined ? this.#peers : this.#devices;
    const found = table.get(peer.id);
    if (found !== undefined || (device === undefined && table.size >= MOST_PEERS)) return found;
    const none = { attachment: undefined, changing: undefined };
    const entry: Entry = { peer, device, wanted: new Set(), inForce: new Set(), ...none };
    table.set(peer.id, entry);
    return entry;
  }

  #change(entry: Entry): void {
    entry.changing ??= this.#settle(entry).finally(() => {
      entry.changing = undefined;
      const table = entry.device === undefined ? this.#peers : this.#devices;
      if (entry.wanted.size + entry.inForce.size === 0) table.delete(entry.peer.id);
    });
  }

  async #settle(entry: Entry): Promise<void> {
    const { wanted, inForce } = entry;
    // What comes at once, as a greeting of many channels does, is one change.
    await Promise.resolve();
    for (;;) {
      const add = [...wanted].filter((channel) => !inForce.has(channel));
      const remove = [...inForce].filter((channel) => !wanted.has(channel));
      if (add.length + remove.length === 0) return;
      try {
        await this.#apply(entry, { add, remove });
        for (const channel of add) inForce.add(channel);
        for (const channel of remove) inForce.delete(channel);
      } catch (error) {
        // Tried again with the next change.
        const reason = error instanceof Error ? error.message : "unknown";
        this.#use.port.log.warn("a subscription could not be changed", { reason });
        return;
      }
    }
  }

  async #apply(entry: Entry, change: { add: readonly string[]; remove: readonly string[] }): Promise<void> {
    const { device, attachment, wanted } = entry;
    if (device !== undefined) {
      await device.change(change);
    } else if (wanted.size === 0) {
      entry.attachment = undefined;
      await attachment?.[Symbol.asyncDispose]();
    } else if (attachment !== undefined) {
      await attachment.change(change);
    } else {
      entry.attachment = await this.#attach(entry.peer, change.add);
      if (this.#use.isCut()) entry.attachment.pause("reconnecting");
    }
  }

  #attach(peer: NomqPeer, filters: readonly string[]): Promise<Attachment> {
    const { port, node, losses } = this.#use;
    const { deliver } = createOutbound(node, { to: peer.address, binary: "refuse", losses });
    return port.attach({
      name: `nomq:${peer.id}`,
      as: `nomq:${peer.key}`,
      filters,
      durable: false,
      retained: "deliver",
      window: WINDOW[peer.kind],
      echoes: false,
      ...maxPayloadFor(peer.kind),
      deliver,
    });
  }
}
