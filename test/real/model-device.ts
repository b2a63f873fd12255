import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createV1Device } from "@nomq/core/testing";
import { type GroupKey, type Opened, open, unixSeconds } from "./seal.ts";

/** The model of a v1 device on a real UDP socket: what it delivers, and all it was sent. */
export interface ModelDevice extends AsyncDisposable {
  /** `HOST:PORT` for `nomq.devices`. */
  readonly address: string;
  readonly port: number;
  /** What reached the device's program, in order. */
  readonly delivered: readonly string[];
  /** Every readable packet that came in, accepted or not. */
  readonly received: readonly Opened[];
  /** Packets answered with this type are not heard by the gateway: the network loses them. */
  loseReplies(type: number): void;
}

/** Where a device is, and when. */
export interface ModelDeviceOptions {
  /** On every address, so that it hears broadcasts; several may share the port. Default: on 127.0.0.1 alone. */
  readonly sharedPort?: number;
  /** On 127.0.0.1 at this port. Default: one that the kernel chooses. */
  readonly port?: number;
  /** Its clock less ours. Default 0. */
  readonly offsetSeconds?: number;
}

/** Opens a device that is subscribed to the channels. */
export async function openModelDevice(
  key: GroupKey,
  channels: readonly string[],
  { sharedPort, port: own = 0, offsetSeconds = 0 }: ModelDeviceOptions = {},
): Promise<ModelDevice> {
  const model = createV1Device({ ...key, channels });
  const delivered: string[] = [];
  const received: Opened[] = [];
  const lost = new Set<number>();
  const socket = createSocket({ type: "udp4", reuseAddr: sharedPort !== undefined });
  socket.on("message", (datagram, { address, port }) => {
    const packet = open(key, datagram);
    if (packet !== undefined) received.push(packet);
    const done = model.receive(datagram, { host: address, port }, unixSeconds() + offsetSeconds);
    if (done.delivered !== undefined) delivered.push(`${done.delivered.channel} ${done.delivered.text}`);
    if (done.reply !== undefined && !lost.has(done.reply.type))
      socket.send(done.reply.datagram, port, address);
  });
  socket.bind(sharedPort ?? own, sharedPort === undefined ? "127.0.0.1" : "0.0.0.0");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    port: socket.address().port,
    delivered,
    received,
    loseReplies: (type) => lost.add(type),
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
