import type { Endpoint } from "@nomq/core";

/**
 * Told of each datagram. `address` is as the socket names it, and as {@link CoapSocket.send} wants it back; the
 * datagram is the receiver's own. Must not throw.
 */
export type ReceiveDatagram = (
  datagram: Uint8Array,
  address: string,
  from: { readonly port: number; readonly toGroup: boolean },
) => void;

/** One bound socket: no promise and no closure per datagram. */
export interface CoapSocket extends AsyncDisposable {
  /** The listener's name in logs and for remotes, unique in one process and the same after a restart. */
  readonly name: string;
  /** Where it is bound; the real port when 0 was asked for. */
  readonly local: Endpoint;
  /** Hands one datagram to the network. Never throws: what cannot leave is lost, as on any network. */
  send(datagram: Uint8Array, port: number, address: string): void;
  /** Sets the one receiver; datagrams that come before are dropped. */
  onDatagram(receive: ReceiveDatagram): void;
  /** The plain host of an address: an IPv4 address without its IPv6 clothes. */
  hostOf(address: string): string;
  /** What {@link send} wants for a host; undefined where no datagram of this socket can reach it. */
  addressOf(host: string): string | undefined;
}
