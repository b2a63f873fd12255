import { channelKey } from "../../packet/channel-id.ts";
import type { Decoded } from "../../packet/decode.ts";
import { isMarked } from "../../packet/flags.ts";
import type { PacketKey } from "../../packet/key-ring.ts";
import type { Judgement } from "../../session/replay-windows.ts";
import type { Endpoint } from "../../transport.ts";
import type { Heard, NomqReceiver } from "../contract.ts";
import { type PeerEntry, viewOf } from "../peers/peer-entry.ts";
import type { Presence } from "../peers/presence.ts";
import type { Probing } from "../sending/probing.ts";
import type { Rejections } from "./rejections.ts";

/** The verdict on a packet that is taken. */
export type Fresh = Extract<Judgement, { is: "fresh" }>;

/** Where a packet came from and how it was judged. */
export interface Arrived {
  readonly from: Endpoint;
  readonly key: PacketKey;
  readonly fresh: Fresh;
}

/** Learns of a peer from each packet of it. */
export interface Contact {
  heard(peer: PeerEntry, decoded: Decoded, arrived: Arrived): void;
}

/** What contact works with. */
export interface ContactUse {
  /** Milliseconds without a packet after which a peer may have lost what it was sent. */
  readonly silence: number;
  readonly rejections: Rejections;
  readonly monotonic: () => number;
  readonly presence: Presence;
  readonly probing: Probing;
  /** The peer may have lost what it was sent of these channels. */
  readonly greet: (peer: PeerEntry, channels: Iterable<string>) => void;
  /** The peer is there again: what is open to it need not wait for its turn in the back-off. */
  readonly hurry: (peer: PeerEntry) => void;
  readonly receiver: () => NomqReceiver | undefined;
}

/** A session that continues another's clock this closely is a renewal, seconds. */
const RENEWAL_TOLERANCE = 2;

/** Makes the contact of one node. */
export function createContact(use: ContactUse): Contact {
  /** Whether this packet shows that the peer may have lost what it was sent. */
  const why = (peer: PeerEntry, { from, fresh }: Arrived, now: number): Heard | undefined => {
    const isSilent = peer.silent || (peer.heardAt !== undefined && now - peer.heardAt > use.silence);
    if (fresh.first && !isRenewal(peer, from, fresh)) return "first-contact";
    return isSilent ? "after-silence" : undefined;
  };

  return {
    heard(peer, { packet, dialect }, arrived) {
      const { window } = arrived.fresh.noted;
      const now = use.monotonic();
      const contact = why(peer, arrived, now);
      if (arrived.fresh.first) use.rejections.begun(arrived.from);
      if (peer.known !== undefined) window.peer = peer.known.name;
      if (isMarked(packet.type, packet.flags)) {
        window.marked = true;
        peer.kind = "node";
      }
      peer.address = arrived.from;
      peer.elsewhere = undefined;
      peer.key = arrived.key;
      peer.dialect = dialect;
      peer.clock = window.clock;
      peer.formerClock = undefined;
      peer.sessionId = packet.sessionId;
      peer.heardAt = now;
      peer.silent = false;
      if (packet.type === "PUBLISH") peer.heardChannel ??= channelKey(packet.channelId);
      const isAnswer = packet.type === "HEARTBEAT" && peer.probes > 0;
      if (isAnswer) peer.answers = true;
      use.presence.online(peer, isAnswer ? "answered" : "heard");
      use.probing.heard(peer);
      if (contact === undefined) return;
      use.hurry(peer);
      use.greet(peer, [...(peer.known?.channels ?? []), ...peer.subscriptions.keys()]);
      use.receiver()?.heard?.(viewOf(peer), contact);
    },
  };
}

/** A new session of a peer heard in this run, from the same address, whose clock goes on. */
function isRenewal(peer: PeerEntry, from: Endpoint, { noted }: Fresh): boolean {
  return (
    peer.clock !== undefined &&
    peer.heardAt !== undefined &&
    from.host === peer.address.host &&
    from.port === peer.address.port &&
    Math.abs(peer.clock - noted.window.offset) <= RENEWAL_TOLERANCE
  );
}
