import type { AttachmentState, BridgeStatus, DevicePresence } from "@nomq/core";
import type { SlowClient } from "@nomq/mqtt-bridge";

/** An attachment that takes nothing for so long is stuck, not slow: NoMQ's retries end before. */
const STILL_MS = 60_000;
/** Those that are named; more are counted. */
const MOST_NAMED = 100;
/** Where MQTT clients are attached, all together. */
const BROKER = "mqtt:broker";

/** A peer that is connected, has messages waiting, and takes none. */
export interface Still {
  readonly attachment: string;
  /** The MQTT client behind it; absent: the attachment itself. */
  readonly client?: string;
  /** `no-progress`: no message came to an end for a minute. The others are an MQTT client's. */
  readonly reason: "no-progress" | SlowClient["reason"];
  /** Unix milliseconds. */
  readonly since: number;
  readonly pending: number;
}

/** What is asked. */
export interface StillSources {
  readonly attachments: readonly AttachmentState[];
  readonly devices: readonly DevicePresence[];
  readonly slowClients: readonly SlowClient[];
  /** Unix milliseconds. */
  readonly now: number;
}

/** The peers that take nothing now, those for longest first. */
export function stillPeers({ attachments, devices, slowClients, now }: StillSources): readonly Still[] {
  // Who is away is not connected: its messages wait for it, as they should.
  const away = new Set(devices.flatMap(({ attachment, state }) => (state === "offline" ? [attachment] : [])));
  const peers = attachments.flatMap(({ name, progress: { stillSince }, ledger: { pending } }): Still[] =>
    stillSince === undefined || now - stillSince < STILL_MS || away.has(name)
      ? []
      : [{ attachment: name, reason: "no-progress", since: stillSince, pending }],
  );
  const clients = slowClients.map(
    ({ client, reason, since, waiting }): Still => ({
      ...{ attachment: BROKER, client, reason, since, pending: waiting },
    }),
  );
  return [...peers, ...clients].toSorted((one, other) => one.since - other.since);
}

/** Those that are named. */
export const namedStill = (still: readonly Still[]): readonly Still[] => still.slice(0, MOST_NAMED);

/** The status of a bridge; one that says it is well while a peer of it takes nothing is degraded. */
export function withStill(name: string, status: BridgeStatus, still: readonly Still[]): BridgeStatus {
  const own = still.filter(({ attachment }) => attachment.startsWith(`${name}:`));
  const [first] = own;
  if (first === undefined || status.state !== "ready") return status;
  const { attachment, client, since } = first;
  const who = client === undefined ? attachment : `the client ${JSON.stringify(client)}`;
  const more = own.length > 1 ? ` (and ${own.length - 1} more)` : "";
  return { state: "degraded", reason: `${who} takes none of the messages that wait for it${more}`, since };
}
