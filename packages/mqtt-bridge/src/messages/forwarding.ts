import { type Clock, filterMatches, isValidChannel } from "@nomq/core";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { ClientLosses } from "../losses.ts";
import { secondsLeft } from "../mapping.ts";
import type { QueuedPublish } from "../sessions/session.ts";

/** What the subscriptions of a client say together about one topic. */
interface Grant {
  /** The highest QoS. */
  readonly qos: number;
  readonly identifiers: readonly number[];
}

/** Topics remembered per client. */
const MOST_TOPICS = 1000;

/** What the decision needs to know besides the packet. */
export interface ForwardingOptions {
  readonly clock: Clock;
  /** Whether the client may have messages of the channel now. */
  may(client: AedesClient, channel: string): boolean;
  /** Whether the client's connection still takes messages. */
  isOpen(client: AedesClient): boolean;
  /** Stored messages are still going out. */
  isDraining(client: AedesClient): boolean;
  /** It speaks MQTT 3.1.1, which has no properties. */
  isOld(client: AedesClient): boolean;
  readonly losses: Pick<ClientLosses, "toOldClient">;
  /** A packet id for a live or retained message; undefined: aedes may count. */
  nextId(client: AedesClient): number | undefined;
  /** The message will not be sent to the client; `reason` is counted. */
  dropped(client: AedesClient, brokerCounter: number | undefined, reason: string): void;
}

/** The last decision before a message goes to a client: live, stored and retained. */
export interface Forwarding {
  /** The message as this client gets it, or null. */
  decide(client: AedesClient, packet: QueuedPublish): QueuedPublish | null;
  /** The client's subscriptions have changed. */
  forget(client: AedesClient): void;
}

/** Makes the decision; aedes' `authorizeForward`. */
export function createForwarding(options: ForwardingOptions): Forwarding {
  const grants = new WeakMap<AedesClient, Map<string, Grant | undefined>>();
  const lastSeen = new WeakMap<AedesClient, number>();

  const grantOf = (client: AedesClient, topic: string): Grant | undefined => {
    const known = grants.get(client) ?? new Map<string, Grant | undefined>();
    grants.set(client, known);
    if (known.has(topic)) return known.get(topic);
    if (known.size >= MOST_TOPICS) known.clear();
    const grant = findGrant(client, topic);
    known.set(topic, grant);
    return grant;
  };
  /** The handlers of one client are called one after another, in one turn, by the same emit. */
  const isSecondCopy = (client: AedesClient, packet: QueuedPublish): boolean => {
    if (lastSeen.get(client) === packet.brokerCounter) return true;
    if (packet.brokerCounter !== undefined) lastSeen.set(client, packet.brokerCounter);
    return false;
  };

  return {
    decide(client, packet) {
      const { brokerCounter, topic } = packet;
      if (!isValidChannel(topic)) return null;
      // Stored messages have an id already, retained ones no broker.
      const isLive = packet.messageId === undefined && typeof packet.brokerId === "string";
      // aedes takes a stored one that is refused for delivered. It stays for the next connection: this one writes nothing.
      if (!options.isOpen(client)) return packet.messageId === undefined ? null : packet;
      if (isLive && isSecondCopy(client, packet)) return null;
      const grant = grantOf(client, topic);
      const qos = Math.min(packet.qos, grant?.qos ?? packet.qos);
      if (isLive && qos > 0 && options.isDraining(client)) return null;
      const msLeft =
        packet.messageExpiry === undefined ? undefined : packet.messageExpiry - options.clock.monotonic();
      if (msLeft !== undefined && msLeft <= 0) {
        options.dropped(client, brokerCounter, "expired");
        return null;
      }
      if (!options.may(client, topic)) {
        options.dropped(client, brokerCounter, "access");
        return null;
      }
      if (packet.properties !== undefined && options.isOld(client)) {
        options.losses.toOldClient(packet.properties);
      }
      const identifiers = isLive ? (grant?.identifiers ?? []) : [];
      // aedes counts on without looking whether the id is in flight; a session's ids outlive the connection.
      const messageId = packet.messageId ?? (qos > 0 ? options.nextId(client) : undefined);
      const given = messageId === undefined ? packet : { ...packet, messageId };
      if (qos === packet.qos && msLeft === undefined && identifiers.length === 0) return given;
      return { ...given, qos: asQos(qos), properties: propertiesFor(packet, msLeft, identifiers) };
    },
    forget: (client) => void grants.delete(client),
  };
}

function findGrant(client: AedesClient, topic: string): Grant | undefined {
  const matching = Object.entries(client.subscriptions).filter(([filter]) => filterMatches(filter, topic));
  if (matching.length === 0) return undefined;
  const identifiers = matching.flatMap(([, { si }]) => (si === undefined ? [] : [si]));
  return { qos: Math.max(...matching.map(([, { qos }]) => qos)), identifiers: [...new Set(identifiers)] };
}

/** A fresh object: aedes gives all receivers the same. */
function propertiesFor(
  { properties }: QueuedPublish,
  msLeft: number | undefined,
  identifiers: readonly number[],
): NonNullable<QueuedPublish["properties"]> {
  return {
    ...properties,
    ...(msLeft !== undefined && { messageExpiryInterval: secondsLeft(msLeft) }),
    ...(identifiers.length > 0 && { subscriptionIdentifier: [...identifiers] }),
  };
}

function asQos(qos: number): 0 | 1 | 2 {
  return qos === 2 ? 2 : qos === 1 ? 1 : 0;
}
