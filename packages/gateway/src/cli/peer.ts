import { lookup } from "node:dns/promises";
import { extname } from "node:path";
import {
  addressText,
  type CancelTimer,
  createNomqNode,
  type Endpoint,
  type IncomingMessage,
  type Key,
  NomqError,
  type NomqNode,
  openUdpTransport,
  type PublishOutcome,
  systemClock,
} from "@nomq/core";
import { payloadJson } from "../api/message-json.ts";
import { loadConfig } from "../config/load.ts";
import { bytesOfKey, readKeyFile } from "../keys.ts";
import { messageLine } from "./message-line.ts";
import type { PeerOptions, PubOptions, SubOptions } from "./options.ts";
import { UsageError } from "./usage-error.ts";

/** One message for a peer. */
export interface PeerPublish {
  readonly channel: string;
  readonly payload: Uint8Array;
  readonly options: PubOptions;
}

/** Publishes to a peer without a gateway; 0 when it arrived (QoS 0: when it left). */
export async function publishToPeer(
  url: string,
  { channel, payload, options }: PeerPublish,
): Promise<number> {
  if (options.until !== undefined || options.contentType !== undefined || options.timeout !== undefined) {
    throw new UsageError("--until, --timeout and --content-type are for a gateway; NoMQ v1 carries none");
  }
  await using node = await nodeFor(url, options);
  await node.start();
  const cancelNotice = noticeSilence(url);
  const outcome = await node.publish(channel, payload, {
    to: PEER,
    // Commander's parser admits nothing else.
    qos: options.qos as 0 | 1 | 2,
    ...(options.retain === undefined ? {} : { retain: options.retain }),
    ...(options.ttl === undefined ? {} : { ttl: Math.ceil(options.ttl / 1_000) }),
    ...(options.priority === undefined ? {} : { priority: options.priority }),
  });
  cancelNotice();
  if (options.json === true) process.stdout.write(`${JSON.stringify({ channel, ...outcome })}\n`);
  else if (options.receipt === true) process.stdout.write(`${url}: ${outcomeText(outcome, url)}\n`);
  if (outcome.is === "delivered") return 0;
  process.stderr.write(`${outcomeText(outcome, url)}\n`);
  return 1;
}

const SILENCE_MS = 2_000;

/** Says after a while that nothing was answered: retries with back-off take half a minute. */
function noticeSilence(url: string): CancelTimer {
  return systemClock.after(SILENCE_MS, () => {
    process.stderr.write(`no answer from ${url} yet; trying again, Ctrl-C ends it\n`);
  });
}

function outcomeText(outcome: PublishOutcome, url: string): string {
  if (outcome.is === "expired") {
    return `expired: ${url} acknowledged nothing within the time to live; does it run, with this key, and know this channel?`;
  }
  return "reason" in outcome ? `${outcome.is}: ${outcome.reason}` : outcome.is;
}

/** What is asked of a peer. */
export interface PeerSubscription {
  readonly filters: readonly string[];
  readonly options: SubOptions;
  readonly signal: AbortSignal;
}

/** Prints what a peer sends on these channels. NoMQ has no wildcards: a filter is a channel's name. */
export async function subscribeAtPeer(url: string, asked: PeerSubscription): Promise<number> {
  const { filters, options, signal } = asked;
  if (filters.some((filter) => /[+#]/.test(filter))) {
    throw new UsageError("NoMQ has no wildcards: with --nomq name the channel itself");
  }
  await using node = await nodeFor(url, options);
  const done = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => done.resolve(), { once: true });
  let left = options.count ?? Number.POSITIVE_INFINITY;
  node.receive({
    async message(incoming) {
      if (left > 0 && filters.includes(incoming.channel)) {
        process.stdout.write(incomingLine(incoming, options.json === true));
        left -= 1;
      }
      // The acknowledgement goes out before the node stops.
      if (left === 0) systemClock.after(100, () => done.resolve());
      return { is: "accepted" };
    },
  });
  await node.start();
  for (const channel of filters) await node.subscribe(channel, PEER);
  process.stderr.write(`subscribed to ${filters.join(" ")}\n`);
  await done.promise;
  for (const channel of filters) await node.unsubscribe(channel, PEER);
  return 0;
}

function incomingLine(incoming: IncomingMessage, json: boolean): string {
  const { channel, payload, qos, retain, priority, ttl, transfer, peer } = incoming;
  const expiresAt = Date.now() + ttl * 1_000;
  const origin = `nomq:${addressText(peer.address)}`;
  const message = {
    channel,
    ...payloadJson(payload),
    qos,
    retain,
    expiresAt,
    priority,
    id: transfer,
    origin,
  };
  return messageLine(message, json);
}

/** How the node calls the one peer it knows. */
const PEER = "peer";

async function nodeFor(url: string, { key: file, kind }: PeerOptions): Promise<NomqNode> {
  if (file === undefined) throw new UsageError("--nomq needs --key FILE; nomq keys new makes one");
  const key = keyFrom(file);
  const address = await addressOf(url);
  const host = address.host.includes(":") ? "::" : "0.0.0.0";
  return createNomqNode({
    transport: () => openUdpTransport({ host, port: 0 }),
    keys: [key],
    peers: [{ name: PEER, address, kind }],
    // What UDP carries: the peer's own limit is told by its kind.
    limits: { message: 65_507, channels: 1000 },
  });
}

/** A key file, or the first key of a `gateway.yaml`. */
function keyFrom(file: string): Key {
  if (extname(file) !== ".yaml" && extname(file) !== ".yml") return bytesOfKey(readKeyFile(file));
  const [key] = loadConfig(file, process.cwd()).nomq.keys ?? [];
  if (key === undefined)
    throw new NomqError("key-invalid", `${file} names no key; give a file of data/keys/`);
  return bytesOfKey(key);
}

async function addressOf(url: string): Promise<Endpoint> {
  const parts = /^udp:\/\/(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(url);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || !(port > 0 && port <= 65_535)) {
    throw new UsageError(`--nomq expects udp://HOST:PORT, not ${url}`);
  }
  try {
    return { host: (await lookup(host)).address, port };
  } catch (error) {
    throw new NomqError("listen-failed", `${host} is not known to the name service`, { cause: error });
  }
}
