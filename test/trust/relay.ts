import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Prng } from "@nomq/core/testing";

/** A datagram that came from a device. */
export interface Recorded {
  readonly datagram: Buffer;
  /** The way it came. */
  readonly way: Way;
  /** When, as `performance.now()` has it. */
  readonly at: number;
}

/** The way of one device through the relay: the gateway sees the device at this address. */
export interface Way extends AsyncDisposable {
  readonly port: number;
  /** Where the device is; until it is said nothing goes through. */
  serve(devicePort: number): void;
  /** Sends to the gateway from here, whatever the losses. */
  inject(datagram: Uint8Array): void;
}

/** Datagrams between devices and the gateway: some are lost, and all that devices sent is kept. */
export interface Relay extends AsyncDisposable {
  open(): Promise<Way>;
  /** Part of the datagrams that are lost, each way. */
  loss: number;
  /** How often one packet of a way may be lost, its repetitions counted; then it gets through. Default: without end. */
  mostLosses: number;
  /** While true nothing of devices gets through; it is lost and not recorded. */
  isShut: boolean;
  /** What devices sent and the relay passed on, oldest first; taken away. */
  takeRecorded(): readonly Recorded[];
  /** Is shown every datagram of the gateway, before it may be lost. */
  onAnswer: ((datagram: Buffer, way: Way) => void) | undefined;
  /**
   * Datagrams so far: `spared` passed although their turn to be lost had come, for their packet had been lost as often as it
   * may; `strange` came from nobody here. Ports are given out again: what had this one before may still be written to, and by
   * who has our key, as all tests do. Taken for the device, such a one would get all that is for it.
   */
  readonly counts: { passed: number; lost: number; spared: number; strange: number };
}

const KEPT = 4_096;
const HOST = "127.0.0.1";

/** Which packet a datagram holds: its repetitions are the same. */
export type PacketOf = (datagram: Buffer) => string;

/** NoMQ: type, packet id and session id stand in the clear (docs/protocol.md section 1). */
const nomqPacket: PacketOf = (datagram) => `${datagram[3]} ${datagram.toString("hex", 5, 13)}`;

/** CoAP: type, code and message id (RFC 7252 section 3). */
export const coapPacket: PacketOf = (datagram) => datagram.toString("hex", 0, 4);

/** Makes a relay in front of the gateway's port. */
export function openRelay(gatewayPort: number, random: Prng, packetOf: PacketOf = nomqPacket): Relay {
  const ways = new Set<Way>();
  let recorded: Recorded[] = [];
  const relay: Relay = {
    loss: 0,
    mostLosses: Number.POSITIVE_INFINITY,
    isShut: false,
    onAnswer: undefined,
    counts: { passed: 0, lost: 0, spared: 0, strange: 0 },
    takeRecorded() {
      const taken = recorded;
      recorded = [];
      return taken;
    },
    async open() {
      const socket = createSocket("udp4");
      socket.bind(0, HOST);
      await once(socket, "listening");
      let devicePort = 0;
      const losses = openLosses(packetOf);
      const way = present(socket, { gatewayPort, serve: (port) => (devicePort = port) });
      ways.add(way);
      socket.on("message", (datagram, { port }) => {
        const isAnswer = port === gatewayPort;
        if (!isAnswer && port !== devicePort) relay.counts.strange += 1;
        if (isAnswer) relay.onAnswer?.(datagram, way);
        // Nobody was ever there.
        if (devicePort === 0 || !(isAnswer || port === devicePort)) return;
        const isTurn = random.chance(relay.loss);
        if ((relay.isShut && !isAnswer) || (isTurn && losses.may(datagram, relay.mostLosses))) {
          relay.counts.lost += 1;
          return;
        }
        if (isTurn) relay.counts.spared += 1;
        relay.counts.passed += 1;
        if (!isAnswer) recorded = [...recorded.slice(1 - KEPT), { datagram, way, at: performance.now() }];
        socket.send(datagram, isAnswer ? devicePort : gatewayPort, HOST, () => undefined);
      });
      return way;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...ways].map((way) => way[Symbol.asyncDispose]()));
    },
  };
  return relay;
}

/** Counts how often each packet of a way was lost. */
function openLosses(packetOf: PacketOf): { may(datagram: Buffer, most: number): boolean } {
  const counts = new Map<string, number>();
  return {
    may(datagram, most) {
      const packet = packetOf(datagram);
      const count = counts.get(packet) ?? 0;
      if (count >= most) return false;
      counts.set(packet, count + 1);
      return true;
    },
  };
}

function present(socket: Socket, use: { gatewayPort: number; serve: (port: number) => void }): Way {
  const closed = once(socket, "close");
  let isOpen = true;
  return {
    port: socket.address().port,
    serve: use.serve,
    inject: (datagram) => socket.send(datagram, use.gatewayPort, HOST, () => undefined),
    async [Symbol.asyncDispose]() {
      if (isOpen) socket.close();
      isOpen = false;
      await closed;
    },
  };
}
