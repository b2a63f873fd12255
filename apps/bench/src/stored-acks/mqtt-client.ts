import { once } from "node:events";
import { connect } from "node:net";

/** An MQTT 3.1.1 client that does as little as possible: publishes at QoS 1, acknowledges what it gets. */
export interface MqttClient extends Disposable {
  /** Calls back when the broker has acknowledged. */
  publish(topic: string, acknowledged: () => void): void;
  subscribe(filter: string): Promise<void>;
  /** Messages received so far. */
  readonly received: () => number;
}

const PUBLISH_QOS_1 = 0x32;
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
};
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 255);
/** Parts of less than 16 KiB. */
const frame = (first: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.of(first, ...length), body]);
};

/** Connects with a session that outlasts the connection. */
export async function connectMqtt(port: number, id: string, payload: Buffer): Promise<MqttClient> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const open = new Map<number, () => void>();
  const answers: (() => void)[] = [];
  let received = 0;
  let packetId = 0;
  const take = (first: number, body: Buffer): Buffer | undefined => {
    switch (first >> 4) {
      case 3:
        received += 1;
        return frame(0x40, body.subarray(2 + body.readUInt16BE(0), 4 + body.readUInt16BE(0)));
      case 4: {
        const id = body.readUInt16BE(0);
        const acknowledged = open.get(id);
        open.delete(id);
        acknowledged?.();
        return undefined;
      }
      default:
        answers.shift()?.();
        return undefined;
    }
  };
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const { frames, left } = split(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
    rest = left;
    const acks = frames.map(({ first, body }) => take(first, body)).filter((ack) => ack !== undefined);
    if (acks.length > 0) socket.write(Buffer.concat(acks));
  });
  const ask = async (request: Buffer): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answers.push(resolve);
    socket.write(request);
    await promise;
  };
  await ask(frame(0x10, text("MQTT"), Buffer.of(4, 0), u16(0), text(id)));
  return {
    publish: (topic, acknowledged) => {
      packetId = (packetId % 65_535) + 1;
      open.set(packetId, acknowledged);
      socket.write(frame(PUBLISH_QOS_1, text(topic), u16(packetId), payload));
    },
    subscribe: (filter) => ask(frame(0x82, u16(1), text(filter), Buffer.of(1))),
    received: () => received,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** The whole packets in the bytes, and what is left. */
function split(bytes: Buffer): { frames: { first: number; body: Buffer }[]; left: Buffer } {
  const frames: { first: number; body: Buffer }[] = [];
  let at = 0;
  for (;;) {
    let length = 0;
    let from = at + 1;
    let byte = 0x80;
    for (let scale = 1; byte >= 0x80 && from < bytes.length; scale *= 128) {
      byte = bytes[from] ?? 0;
      length += (byte & 127) * scale;
      from += 1;
    }
    if (byte >= 0x80 || from + length > bytes.length) return { frames, left: bytes.subarray(at) };
    frames.push({ first: bytes[at] ?? 0, body: bytes.subarray(from, from + length) });
    at = from + length;
  }
}
