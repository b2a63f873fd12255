/** An address a datagram came from or goes to. `host` is an IP literal without brackets. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Sends and receives datagrams: the least that both a UDP socket and an array in memory can be. */
export interface Transport extends AsyncDisposable {
  /** Where it is bound; the real port when 0 was asked for. */
  readonly local: Endpoint;
  /**
   * Hands one datagram to the network. Resolves when it has been handed over; a datagram that the network loses
   * is not an error. Rejects with `datagram-too-large` or `closed`.
   */
  send(datagram: Uint8Array, to: Endpoint): Promise<void>;
  /** Sets the one receiver; datagrams that come before are dropped. `receive` must not throw. */
  onDatagram(receive: (datagram: Uint8Array, from: Endpoint) => void): void;
  /** Resolves with the reason once it no longer works and must be opened again; never rejects. Absent: it cannot fail. */
  readonly failed?: Promise<string>;
}
