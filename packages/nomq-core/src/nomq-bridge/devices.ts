import type { Attachment, Port } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import type { NomqNode } from "../node/contract.ts";
import { MAX_DEVICE_MESSAGE } from "../node/wire.ts";
import type { NomqDeviceOptions } from "./options.ts";
import { createOutbound } from "./outbound.ts";

/** Calls open at once. The node sends a device one message at a time; more calls keep one silent lane from the rest. */
export const WINDOW = { device: 4, node: 64 } as const;

/** Attaches a configured device as `nomq:NAME`, durable, with its `subscribe` as filters. */
export async function attachDevice(
  port: Port,
  node: NomqNode,
  device: NomqDeviceOptions,
): Promise<Attachment> {
  const { name, subscribe = [], kind = "device", binary = "refuse", outbox } = device;
  const peer = node.peer(name);
  if (peer === undefined) {
    throw new NomqError(
      "config-invalid",
      `the node given does not know the device "${name}" among its peers`,
    );
  }
  const { deliver } = createOutbound(node, { to: name, binary });
  return port.attach({
    name: `nomq:${name}`,
    as: `nomq:${peer.key}`,
    filters: subscribe,
    durable: true,
    retained: "deliver",
    window: WINDOW[kind],
    echoes: false,
    ...(kind === "device" ? { maxPayload: MAX_DEVICE_MESSAGE } : {}),
    ...(outbox === undefined ? {} : { outbox }),
    deliver,
  });
}
