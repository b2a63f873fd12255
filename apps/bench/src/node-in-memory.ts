import { randomBytes } from "node:crypto";
import {
  createNomqNode,
  createPacketKey,
  type Endpoint,
  type NodeLimits,
  type NomqNode,
  type PacketKey,
  type Transport,
} from "@nomq/core";
import { createFakeClock, type FakeClock } from "@nomq/core/testing";

/** A started node without a socket, on a clock of its own. */
export interface NodeInMemory {
  readonly node: NomqNode;
  readonly clock: FakeClock;
  /** Its one key. */
  readonly key: PacketKey;
  deliver(datagram: Uint8Array, from: Endpoint): void;
}

/** Starts a node that takes every message and, as in a gateway, remembers its replay windows. */
export async function startNodeInMemory(options: {
  readonly channels: readonly string[];
  readonly limits: Partial<NodeLimits>;
}): Promise<NodeInMemory> {
  const halves = { encryption: randomBytes(32), mac: randomBytes(32) };
  const key = createPacketKey({ id: "bench", ...halves, dialect: "auto" });
  const clock = createFakeClock();
  let receiver: NodeInMemory["deliver"] = () => undefined;
  const transport: Transport = {
    local: { host: "10.7.255.1", port: 8888 },
    send: async () => undefined,
    onDatagram(receive) {
      receiver = receive;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const node = createNomqNode({ transport, keys: [key.key], clock, ...options });
  node.receive({ message: async () => ({ is: "accepted" }), remember: async () => undefined });
  await node.start();
  return { node, clock, key, deliver: (datagram, from) => receiver(datagram, from) };
}
