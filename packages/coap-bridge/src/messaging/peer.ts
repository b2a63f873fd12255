import type { CoapSocket } from "../listen/coap-socket.ts";
import type { Exchange } from "./exchange.ts";
import type { Remote } from "./messaging.ts";
import type { Sending } from "./sending.ts";

/** An address at one of our sockets, with what all its ports share. */
export interface Host {
  readonly socket: CoapSocket;
  /** As the socket names it. */
  readonly address: string;
  /** Plain. */
  readonly host: string;
  readonly slot: number;
  /** Nobody else can send from it. */
  readonly trusted: boolean;
  /** Remotes of it. */
  peers: number;
  /** Requests it may make now, and when that was counted. */
  allowance: number;
  countedAt: number;
}

/** What the message layer knows of one remote. */
export class Peer implements Remote {
  readonly at: Host;
  readonly port: number;
  /** Small, unique among the remotes known now, used again. */
  readonly slot: number;
  /** Never used again. */
  readonly serial: number;
  /** Message id of the next message of ours. */
  nextMessageId: number;
  seenAt = 0;
  proven: boolean;
  /** Bytes that may still go to it while it is not proven. */
  credit = 0;
  /** Reasons not to forget it. */
  pins = 0;
  /** Requests of it that are being answered, of which those that were not answered at once. */
  underWay = 0;
  readonly exchanges: Exchange[] = [];
  /** Acknowledgements and resets that fit nothing of ours: somebody may be guessing. */
  misses = 0;
  forgotten = false;
  /** The CON it has not acknowledged, and what waits for its turn behind it, in order. */
  flying: Sending | undefined;
  firstWaiting: Sending | undefined;
  lastWaiting: Sending | undefined;
  advancing = false;
  /** Answers it has not acknowledged, which wait for nothing. */
  separate: Sending[] | undefined;
  #key: string | undefined;

  constructor(at: Host, port: number, { slot, serial, firstMessageId }: PeerNumbers) {
    this.at = at;
    this.port = port;
    this.slot = slot;
    this.serial = serial;
    this.nextMessageId = firstMessageId;
    this.proven = at.trusted;
  }

  get host(): string {
    return this.at.host;
  }

  get via(): string {
    return this.at.socket.name;
  }

  get key(): string {
    this.#key ??= remoteKey(this.via, this.host, this.port);
    return this.#key;
  }

  takeMessageId(): number {
    const taken = this.nextMessageId;
    this.nextMessageId = (taken + 1) & 0xffff;
    return taken;
  }

  /** Hands a datagram to the network; what an unproven remote may not get any more is lost, as on any network. */
  transmit(datagram: Uint8Array): void {
    if (!this.proven) {
      if (this.credit < datagram.length) return;
      this.credit -= datagram.length;
    }
    this.transmitOwn(datagram);
  }

  /** The same for requests of ours, which nobody made us send. */
  transmitOwn(datagram: Uint8Array): void {
    this.at.socket.send(datagram, this.port, this.at.address);
  }
}

/** Numbers of a new peer. */
export interface PeerNumbers {
  readonly slot: number;
  readonly serial: number;
  readonly firstMessageId: number;
}

/** One line of text for socket, host and port. */
function remoteKey(via: string, host: string, port: number): string {
  return `${via} ${host} ${port}`;
}

/** Its parts; undefined for what is no such line. */
export function readRemoteKey(
  key: string,
): { readonly via: string; readonly host: string; readonly port: number } | undefined {
  const match = /^(.*) (\S+) (\d{1,5})$/.exec(key);
  const [, via = "", host = "", digits = ""] = match ?? [];
  const port = Number(digits);
  return match !== null && isUsablePort(port) ? { via, host, port } : undefined;
}

/** Port 0 cannot be sent to. */
export const isUsablePort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535;
