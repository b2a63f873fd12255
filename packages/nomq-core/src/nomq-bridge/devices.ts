import { parseEndpoint } from "../address.ts";
import type { Attachment, Peer, Port } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import type { MappingLosses } from "../mapping.ts";
import { isValidChannel } from "../message.ts";
import type { KnownPeer, NomqNode, PeerKind } from "../node/contract.ts";
import { nomqMapping } from "./mapping.ts";
import type { OpenTransfers } from "./open-transfers.ts";
import type { NomqDeviceOptions } from "./options.ts";
import { createOutbound } from "./outbound.ts";

/** Calls open at once. The node sends a device one message at a time; more calls keep one silent lane from the rest. */
export const WINDOW = { device: 4, node: 64 } as const;

/** Attaches a configured device as `nomq:NAME`, durable, with its `subscribe` as filters. */
export async function attachDevice(
  port: Port,
  use: { readonly node: NomqNode; readonly losses: MappingLosses; readonly transfers: OpenTransfers },
  device: NomqDeviceOptions,
): Promise<Attachment> {
  const { node, losses } = use;
  const { name, subscribe = [], kind = "device", binary = "refuse", outbox } = device;
  const peer = node.peer(name);
  if (peer === undefined) {
    throw new NomqError(
      "config-invalid",
      `the node given does not know the device "${name}" among its peers`,
    );
  }
  const transfers = use.transfers.of(name, kind);
  const { deliver } = createOutbound(node, { to: name, binary, losses, transfers });
  return port.attach({
    name: `nomq:${name}`,
    as: `nomq:${peer.key}`,
    filters: subscribe,
    durable: true,
    retained: "deliver",
    window: WINDOW[kind],
    echoes: false,
    ...maxPayloadFor(kind),
    ...(outbox === undefined ? {} : { outbox }),
    deliver,
  });
}

/** The device as its node knows it: names among its filters are channels it can be asked by. */
export function peerOf(device: NomqDeviceOptions): KnownPeer {
  const channels = (device.subscribe ?? []).filter(isValidChannel);
  return { ...device, address: parseEndpoint(device.address), channels };
}

/** The size row's limit; a node refuses by itself what no datagram carries. */
export function maxPayloadFor(kind: PeerKind): Pick<Peer, "maxPayload"> {
  const { most } = nomqMapping.rows.size.to[kind];
  return kind === "node" || most === undefined ? {} : { maxPayload: most };
}
