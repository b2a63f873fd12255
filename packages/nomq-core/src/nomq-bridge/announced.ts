import type { Attachment, Port } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import type { NomqNode, NomqPeer } from "../node/contract.ts";
import { maxPayloadFor, WINDOW } from "./devices.ts";
import { createOutbound } from "./outbound.ts";

/** Peers that have said by SUBSCRIBE what they want: each has a volatile attachment, `nomq:HOST:PORT`. */
export interface Announced {
  /** False when the table is full. `device`: the peer's attachment from configuration, to which the channel is added. */
  subscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): boolean;
  unsubscribed(peer: NomqPeer, channel: string, device: Attachment | undefined): void;
  /** A peer's attachment, once it has one. */
  attachmentOf(peerId: string): Attachment | undefined;
  all(): readonly Attachment[];
  stop(): Promise<void>;
}

const MOST_PEERS = 1000;

interface Entry {
  readonly name: string;
  readonly channels: Set<string>;
  attachment: Attachment | undefined;
  /** Changes are made one after the other. */
  last: Promise<void>;
}

/** Makes the table; it holds at most 1,000 peers and refuses more. */
export function createAnnounced(port: Port, node: NomqNode, losses: MappingLosses): Announced {
  const entries = new Map<string, Entry>();
  const inTurn = (entry: { last: Promise<void> }, step: () => Promise<void>): void => {
    entry.last = entry.last.then(step).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : "unknown";
      port.log.warn("a subscription could not be changed", { reason });
    });
  };
  const attach = async (peer: NomqPeer, entry: Entry): Promise<void> => {
    const { deliver } = createOutbound(node, { to: peer.address, binary: "refuse", losses });
    entry.attachment = await port.attach({
      name: entry.name,
      as: `nomq:${peer.key}`,
      filters: [...entry.channels],
      durable: false,
      retained: "deliver",
      window: WINDOW[peer.kind],
      echoes: false,
      ...maxPayloadFor(peer.kind),
      deliver,
    });
  };
  const entryOf = (peer: NomqPeer): Entry | undefined => {
    const found = entries.get(peer.id);
    if (found !== undefined || entries.size >= MOST_PEERS) return found;
    const entry: Entry = {
      name: `nomq:${peer.id}`,
      channels: new Set(),
      attachment: undefined,
      last: Promise.resolve(),
    };
    entries.set(peer.id, entry);
    return entry;
  };
  const configured = { last: Promise.resolve() };

  return {
    subscribed(peer, channel, device) {
      if (device !== undefined) {
        inTurn(configured, () => device.change({ add: [channel] }));
        return true;
      }
      const entry = entryOf(peer);
      if (entry === undefined) return false;
      if (entry.channels.has(channel)) return true;
      entry.channels.add(channel);
      inTurn(entry, async () => {
        if (entry.attachment === undefined) await attach(peer, entry);
        else await entry.attachment.change({ add: [channel] });
      });
      return true;
    },
    unsubscribed(peer, channel, device) {
      if (device !== undefined) return inTurn(configured, () => device.change({ remove: [channel] }));
      const entry = entries.get(peer.id);
      if (entry === undefined || !entry.channels.delete(channel)) return;
      inTurn(entry, async () => {
        if (entry.channels.size > 0) return entry.attachment?.change({ remove: [channel] });
        const { attachment } = entry;
        entry.attachment = undefined;
        await attachment?.[Symbol.asyncDispose]();
        if (entry.channels.size === 0) entries.delete(peer.id);
      });
    },
    attachmentOf: (peerId) => entries.get(peerId)?.attachment,
    all: () => [...entries.values()].flatMap(({ attachment }) => attachment ?? []),
    async stop() {
      const all = [...entries.values()];
      await Promise.all([configured.last, ...all.map((entry) => entry.last)]);
      await Promise.all(all.map(async (entry) => entry.attachment?.[Symbol.asyncDispose]()));
      entries.clear();
    },
  };
}
