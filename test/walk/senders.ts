import { createNomqNode, openUdpTransport } from "@nomq/core";
import { connectAsync } from "mqtt";
import type { Gateway } from "../real/gateway.ts";
import { ACK, PUBCOMP, PUBREC, PUBREL, randomId, unixSeconds } from "../real/seal.ts";
import { openDevice } from "../real/udp-device.ts";
import { vectorKey } from "../real/vectors.ts";
import { key, ROOM } from "./receivers.ts";
import type { Sample } from "./sample.ts";

/** One who sends samples; resolves when the gateway has taken one, as far as its QoS tells. */
export interface Sender extends AsyncDisposable {
  send(sample: Sample): Promise<void>;
}

/** A device as the original: what it sends is sealed by code that is none of ours. */
export async function deviceSender({ nomqPort }: Gateway): Promise<Sender> {
  const device = await openDevice(vectorKey, nomqPort);
  const sessionId = randomId();
  return {
    async send({ channel, payload, qos, retain, ttl = 3600, priority = 0 }) {
      const packetId = randomId();
      const of = (type: number) => (packet: { type: number; packetId: number }) =>
        packet.type === type && packet.packetId === packetId;
      const flags = qos | (retain ? 4 : 0) | (priority << 4);
      const head = { channel, sessionId, packetId, timestamp: unixSeconds() };
      await device.send({ ...head, message: payload, flags, ttl });
      if (qos === 1) await device.next(of(ACK));
      if (qos !== 2) return;
      await device.next(of(PUBREC));
      await device.send({ ...head, type: PUBREL });
      await device.next(of(PUBCOMP));
    },
    [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
  };
}

export async function nodeSender({ nomqPort }: Gateway): Promise<Sender> {
  const transport = await openUdpTransport({ host: "127.0.0.1", port: 0 });
  const address = { host: "127.0.0.1", port: nomqPort };
  const peers = [{ name: "gateway", address, kind: "node" as const }];
  const node = createNomqNode({ transport, keys: [key], peers, limits: ROOM });
  await node.start();
  return {
    async send({ channel, payload, qos, retain, ttl = 3600, priority = 0 }) {
      // 0, 1 or 2: the samples of a node.
      const outcome = await node.publish(channel, payload, {
        to: "gateway",
        qos: qos as 0 | 1 | 2,
        retain,
        ttl,
        priority,
      });
      if (outcome.is !== "delivered") throw new Error(`${channel}: ${JSON.stringify(outcome)}`);
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

export async function mqttSender({ mqtt }: Gateway, version: 4 | 5): Promise<Sender> {
  const client = await connectAsync({ ...mqtt, protocolVersion: version, reconnectPeriod: 0 });
  return {
    async send(sample) {
      const { channel, payload, retain } = sample;
      const properties = version === 5 ? { properties: propertiesOf(sample) } : {};
      // 0, 1 or 2: the samples of a client.
      const qos = sample.qos as 0 | 1 | 2;
      if (sample.will === true) {
        const will = { topic: channel, payload, qos, retain, ...properties };
        const dying = await connectAsync({ ...mqtt, protocolVersion: version, reconnectPeriod: 0, will });
        dying.stream.destroy();
        return;
      }
      await client.publishAsync(channel, payload, { qos, retain, ...properties });
    },
    [Symbol.asyncDispose]: () => client.endAsync(),
  };
}

function propertiesOf(sample: Sample): object {
  const { ttl, contentType, priority, responseChannel, correlation } = sample;
  const user: Record<string, string[]> = {};
  for (const [name, value] of sample.properties ?? []) user[name] = [...(user[name] ?? []), value];
  if (priority !== undefined) user["priority"] = [String(priority)];
  return {
    ...(ttl !== undefined && { messageExpiryInterval: ttl }),
    ...(contentType !== undefined && { contentType }),
    ...(responseChannel !== undefined && { responseTopic: responseChannel }),
    ...(correlation !== undefined && { correlationData: Buffer.from(correlation, "hex") }),
    ...(Object.keys(user).length > 0 && { userProperties: user }),
  };
}
