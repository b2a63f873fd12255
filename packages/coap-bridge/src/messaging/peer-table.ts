import type { CoapSocket } from "../listen/coap-socket.ts";
import { EXCHANGE_LIFETIME_MS } from "./parameters.ts";
import { type Host, Peer } from "./peer.ts";

/** Half a kilobyte each; a slot number has 16 bits. */
const MOST_PEERS = 32_768;
/** How many are looked at to find one that can be forgotten. */
const LOOKS = 64;

/** Options of a {@link PeerTable}. */
export interface PeerTableOptions {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether nobody else can send from an address. */
  readonly isTrusted: (host: string) => boolean;
  /** Remotes remembered at most. */
  readonly most?: number;
}

/**
 * The remotes known now. One is forgotten EXCHANGE_LIFETIME after its last datagram, or when room is needed, unproven
 * ones first; never while something of it is under way.
 */
export class PeerTable {
  readonly #options: PeerTableOptions;
  readonly #most: number;
  readonly #hosts = new Map<CoapSocket, Map<string, Host>>();
  /** By slot of the host and port. */
  readonly #peers = new Map<number, Peer>();
  readonly #freeSlots: number[] = [];
  readonly #freeHostSlots: number[] = [];
  #slots = 0;
  #hostSlots = 0;
  #serial = 0;
  #latest: Peer | undefined;
  /** The same by slot, and which is looked at next when room is needed. */
  readonly #bySlot: (Peer | undefined)[] = [];
  #hand = 0;

  constructor(options: PeerTableOptions) {
    this.#options = options;
    this.#most = Math.min(options.most ?? MOST_PEERS, MOST_PEERS);
  }

  get size(): number {
    return this.#peers.size;
  }

  /** The one a datagram came from, new if need be; undefined: all that are known are in use. */
  get(socket: CoapSocket, address: string, port: number): Peer | undefined {
    const known = this.find(socket, address, port);
    if (known !== undefined) return known;
    this.#latest = this.#add(socket, address, port);
    return this.#latest;
  }

  /** The same if it is known. */
  find(socket: CoapSocket, address: string, port: number): Peer | undefined {
    const latest = this.#latest;
    if (latest !== undefined && latest.port === port) {
      if (latest.at.address === address && latest.at.socket === socket) return latest;
    }
    const host = this.#hosts.get(socket)?.get(address);
    if (host === undefined) return undefined;
    const known = this.#peers.get((host.slot << 16) | port);
    if (known !== undefined) this.#latest = known;
    return known;
  }

  /** Forgets those that were silent for long. */
  sweep(now: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.pins === 0 && now - peer.seenAt > EXCHANGE_LIFETIME_MS) this.#forget(peer);
    }
  }

  /** All of them, as when everything ends. */
  values(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  #add(socket: CoapSocket, address: string, port: number): Peer | undefined {
    if (this.#peers.size >= this.#most && !this.#makeRoom()) return undefined;
    const at = this.#hostOf(socket, address);
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    this.#serial = (this.#serial + 1) >>> 0;
    const firstMessageId = Math.floor(this.#options.random() * 65_536);
    const peer = new Peer(at, port, { slot, serial: this.#serial, firstMessageId });
    this.#peers.set((at.slot << 16) | port, peer);
    this.#bySlot[slot] = peer;
    at.peers += 1;
    return peer;
  }

  #hostOf(socket: CoapSocket, address: string): Host {
    let hosts = this.#hosts.get(socket);
    if (hosts === undefined) {
      hosts = new Map();
      this.#hosts.set(socket, hosts);
    }
    let host = hosts.get(address);
    if (host === undefined) {
      const plain = socket.hostOf(address);
      host = {
        socket,
        address,
        host: plain,
        slot: this.#freeHostSlots.pop() ?? this.#hostSlots++,
        trusted: this.#options.isTrusted(plain),
        peers: 0,
        allowance: Number.POSITIVE_INFINITY,
        countedAt: 0,
      };
      hosts.set(address, host);
    }
    return host;
  }

  #makeRoom(): boolean {
    let oldest: Peer | undefined;
    for (let look = 0; look < LOOKS; look += 1) {
      const peer = this.#bySlot[this.#hand];
      this.#hand = (this.#hand + 1) % this.#bySlot.length;
      if (peer === undefined || peer.pins > 0) continue;
      if (oldest === undefined || isBetterToForget(peer, oldest)) oldest = peer;
      if (!oldest.proven) break;
    }
    if (oldest === undefined) return false;
    this.#forget(oldest);
    return true;
  }

  #forget(peer: Peer): void {
    peer.forgotten = true;
    if (this.#latest === peer) this.#latest = undefined;
    this.#peers.delete((peer.at.slot << 16) | peer.port);
    this.#bySlot[peer.slot] = undefined;
    this.#freeSlots.push(peer.slot);
    peer.at.peers -= 1;
    if (peer.at.peers > 0) return;
    this.#hosts.get(peer.at.socket)?.delete(peer.at.address);
    this.#freeHostSlots.push(peer.at.slot);
  }
}

function isBetterToForget(one: Peer, other: Peer): boolean {
  return one.proven === other.proven ? one.seenAt < other.seenAt : other.proven;
}
