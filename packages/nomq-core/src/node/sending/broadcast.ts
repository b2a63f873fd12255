import { isIP } from "node:net";
import { addressText, plainEndpoint } from "../../address.ts";
import type { Clock } from "../../clock.ts";
import { isMarked, readQos } from "../../packet/flags.ts";
import type { KeyRing, PacketKey } from "../../packet/key-ring.ts";
import type { Packet } from "../../packet/packet.ts";
import { UNHEARD_OFFSETS } from "../../session/clock-offset.ts";
import { replied } from "../../session/pace.ts";
import { FIRST_WAIT_MS } from "../../session/sender.ts";
import type { Endpoint } from "../../transport.ts";
import type { NodeBroadcastOptions, PublishOutcome } from "../contract.ts";
import type { OwnSessions } from "../own-sessions.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import { type BroadcastLane, createBroadcastLane } from "./broadcast-lane.ts";
import { createPortTurns } from "./broadcast-turns.ts";
import { MAX_DEVICE_MESSAGE, type Outbound, type SealFor, type Wire } from "./wire.ts";

/** Where a broadcast goes when nothing else is said: everyone on the local network, on the port of v1 devices. */
const BROADCAST_ADDRESS: Endpoint = { host: "255.255.255.255", port: 8888 };

/** The packet id of our broadcasts: at QoS 0 nobody answers it, and nothing else of ours has it. */
const BROADCAST_ID = 0;
/** A device drops more than ten a second at the price of everything else it does (protocol.md section 6). */
const MOST_PER_SECOND = 5;
const MOST_LANES = 64;
const MOST_CLOCKS = 64;

/** The messages of one node to everybody. */
export interface Broadcasts {
  send(message: BroadcastMessage, options: NodeBroadcastOptions): Promise<PublishOutcome>;
  /** Ends what waits. */
  stop(): void;
}

/** A message to everybody; its channel is valid. */
export interface BroadcastMessage {
  readonly channelId: Uint8Array;
  readonly payload: Uint8Array;
}

/** What broadcasts work with. */
export interface BroadcastUse {
  readonly clock: Clock;
  readonly wire: Wire;
  readonly ring: KeyRing;
  readonly sessions: OwnSessions;
  readonly peers: PeerTable;
  /** Datagrams per second towards one device. */
  readonly pace: number;
}

/** Whether the packet is a broadcast of a node of ours. Those of v1 devices look like any message. */
export function isBroadcast(packet: Packet): boolean {
  const { type, flags, packetId } = packet;
  return type === "PUBLISH" && packetId === BROADCAST_ID && readQos(flags) === 0 && isMarked(type, flags);
}

/** Makes the broadcasts of one node. */
export function createBroadcasts(use: BroadcastUse): Broadcasts {
  const lanes = new Map<string, BroadcastLane>();
  const turns = createPortTurns(1000 / Math.min(use.pace, MOST_PER_SECOND));

  const put = (datagram: Uint8Array, to: Endpoint): void => {
    use.wire.broadcast(datagram, to);
    if (isIP(to.host) !== 4) return;
    // A broadcast costs every device what a message of its own costs it (protocol.md section 6).
    const now = use.clock.monotonic();
    for (const peer of use.peers.all()) {
      if (peer.kind === "device" && peer.address.port === to.port) {
        peer.pace = replied(peer.pace, now, use.pace);
      }
    }
  };
  const laneTo = (to: Endpoint): BroadcastLane | undefined => {
    const name = addressText(to);
    const found = lanes.get(name);
    if (found !== undefined || lanes.size >= MOST_LANES) return found;
    const lane = createBroadcastLane({
      clock: use.clock,
      // A device may hear all addresses of its port: the limited one and those of its subnets.
      turns: turns.of(isIP(to.host) === 4 ? `${to.port}` : name, use.clock.monotonic()),
      put: (datagram) => put(datagram, to),
      idle: () => lanes.delete(name),
    });
    lanes.set(name, lane);
    return lane;
  };
  const sendTo = (to: Endpoint, message: Omit<Outbound, "sessionId">, how: How): Promise<PublishOutcome> => {
    const lane = laneTo(to);
    if (lane === undefined) return Promise.resolve(refusal("busy"));
    const { options, target } = how;
    const { ttl, signal } = options;
    // v1 cannot use IPv6 (protocol.md section 8): there are only nodes, and they count from 1970.
    const clocks = options.clocks ?? (isIP(to.host) === 4 ? UNHEARD_OFFSETS : [0]);
    const lastsMs = ttl === 0 ? FIRST_WAIT_MS : ttl === undefined ? undefined : ttl * 1000;
    const says = (leftMs: number | undefined): number | undefined =>
      ttl === 0 ? 0 : leftMs === undefined ? undefined : leftMs / 1000;
    return lane.send({
      channel: Buffer.from(message.channelId).toString("latin1"),
      priority: message.priority,
      copies: clocks.map(
        (clock) => (leftMs) =>
          use.wire.seal(
            target,
            { ...message, sessionId: use.sessions.forMessage() },
            { clock, ttl: says(leftMs) },
          ),
      ),
      lastsMs,
      signal,
    });
  };

  return {
    async send(message, options) {
      const key = options.key === undefined ? use.ring.keys[0] : use.ring.get(options.key);
      const reason = whyNot(message, options) ?? (key === undefined ? "key-unknown" : undefined);
      if (reason !== undefined || key === undefined) return refusal(reason ?? "key-unknown");
      const { retain = false, priority = 0 } = options;
      const outbound = { ...message, qos: 0, retain, priority, packetId: BROADCAST_ID } as const;
      const how = { options, target: targetFor(key) };
      const outcomes = await Promise.all(addressesOf(options).map((to) => sendTo(to, outbound, how)));
      const [first = refusal("address-invalid")] = outcomes;
      const failed = outcomes.find((outcome) => outcome.is !== "delivered");
      return failed === undefined ? first : { ...failed, sent: outcomes.some(({ sent }) => sent) };
    },
    stop() {
      for (const lane of [...lanes.values()]) lane.stop();
    },
  };
}

interface How {
  readonly options: NodeBroadcastOptions;
  readonly target: SealFor;
}

function targetFor(key: PacketKey): How["target"] {
  return { key, kind: "device", dialect: key.key.dialect === "standard" ? "standard" : "micropython" };
}

function refusal(reason: string): PublishOutcome {
  return { is: "refused", reason, packetId: BROADCAST_ID, sessionId: 0, sent: false };
}

function addressesOf({ to = BROADCAST_ADDRESS }: NodeBroadcastOptions): readonly Endpoint[] {
  const all = "host" in to ? [to] : to;
  const byName = new Map(
    all.map((one) => {
      const endpoint = plainEndpoint(one);
      return [addressText(endpoint), endpoint];
    }),
  );
  return [...byName.values()];
}

function whyNot({ payload }: BroadcastMessage, options: NodeBroadcastOptions): string | undefined {
  const { qos = 0, ttl, clocks } = options;
  if (qos !== 0) return "qos-not-possible";
  if (!(ttl === undefined || ttl >= 0)) return "ttl-invalid";
  if (payload.length > MAX_DEVICE_MESSAGE) return "too-large";
  if (clocks !== undefined && !areClocks(clocks)) return "clock-invalid";
  const addresses = addressesOf(options);
  const areAddresses = addresses.every(({ host, port }) => isIP(host) !== 0 && isPort(port));
  return addresses.length > 0 && areAddresses ? undefined : "address-invalid";
}

function areClocks(clocks: readonly number[]): boolean {
  return clocks.length > 0 && clocks.length <= MOST_CLOCKS && clocks.every(Number.isSafeInteger);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}
