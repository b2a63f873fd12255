import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { type GroupKey, type Opened, type Outgoing, open, seal } from "./seal.ts";

/** A UDP socket that speaks for a device: sends what the test seals, keeps what it receives. */
export interface UdpDevice extends AsyncDisposable {
  readonly port: number;
  /** Sends to another port from now on. */
  aim(gatewayPort: number): void;
  send(packet: Outgoing): Promise<void>;
  sendRaw(datagram: Uint8Array): Promise<void>;
  /** Everything received and readable with the key, in order. */
  readonly received: readonly Opened[];
  /** Resolves with the first packet, past or coming, that the test accepts. */
  next(accepts: (packet: Opened) => boolean): Promise<Opened>;
}

export async function openDevice(key: GroupKey, gatewayPort: number, host = "127.0.0.1"): Promise<UdpDevice> {
  const socket: Socket = createSocket("udp4");
  const received: Opened[] = [];
  const waiting = new Set<(packet: Opened) => void>();
  socket.on("message", (datagram: Buffer, _from: RemoteInfo) => {
    const packet = open(key, datagram);
    if (packet === undefined) return;
    received.push(packet);
    for (const look of waiting) look(packet);
  });
  socket.bind(0, host);
  await once(socket, "listening");
  let target = gatewayPort;
  const sendRaw = (datagram: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      socket.send(datagram, target, host, (error) => (error ? reject(error) : resolve()));
    });
  return {
    port: socket.address().port,
    received,
    aim: (port) => {
      target = port;
    },
    sendRaw,
    send: (packet) => sendRaw(seal(key, packet)),
    next: (accepts) =>
      new Promise((resolve) => {
        const found = received.find(accepts);
        if (found !== undefined) return resolve(found);
        const look = (packet: Opened): void => {
          if (!accepts(packet)) return;
          waiting.delete(look);
          resolve(packet);
        };
        waiting.add(look);
      }),
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
