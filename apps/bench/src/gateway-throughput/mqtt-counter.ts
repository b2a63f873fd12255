import { once } from "node:events";
import { connect } from "node:net";

/** Counts what an MQTT broker sends to one QoS 0 subscriber, doing as little as possible with it. */
export interface MqttCounter {
  onArrivals(tell: (count: number) => void): void;
  close(): void;
}

/** What is counted: messages of one topic and one payload length, so that every frame has the same size. */
export interface Counted {
  readonly port: number;
  readonly topic: string;
  readonly payloadBytes: number;
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
};
const frame = (type: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(type, body.length), body]);
};
/** MQTT 3.1.1 sections 3.1 and 3.8: a clean session, one subscription at QoS 0. */
const CONNECT = frame(0x10, text("MQTT"), Buffer.of(4, 2, 0, 0), text("bench"));
const subscribe = (topic: string): Buffer => frame(0x82, Buffer.of(0, 1), text(topic), Buffer.of(0));
/** CONNACK and SUBACK. */
const ANSWERS_BYTES = 4 + 5;

/** Resolves when the subscription is granted. */
export async function countMessages({ port, topic, payloadBytes }: Counted): Promise<MqttCounter> {
  const frameBytes = 2 + 2 + Buffer.byteLength(topic) + payloadBytes;
  let tell = (_count: number): void => undefined;
  let bytes = -ANSWERS_BYTES;
  const granted = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes === 0) granted.resolve();
    if (bytes < frameBytes) return;
    const count = Math.floor(bytes / frameBytes);
    bytes -= count * frameBytes;
    tell(count);
  });
  socket.write(Buffer.concat([CONNECT, subscribe(topic)]));
  await granted.promise;
  return {
    onArrivals: (next) => {
      tell = next;
    },
    close: () => socket.destroy(),
  };
}
