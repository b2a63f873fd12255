import { randomBytes } from "node:crypto";
import type { Message } from "@nomq/core";
import { itemPayload, type ReadItem, readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import { element } from "../../packages/xmpp-bridge/src/stream/build.ts";
import { type Element, Namespace } from "../../packages/xmpp-bridge/src/stream/element.ts";
import { connectClient, type PubsubClient } from "../../packages/xmpp-bridge/test/pubsub-client.ts";
import type { Prosody } from "../real/prosody.ts";
import { byName } from "./oracle.ts";
import type { Receiver } from "./receivers.ts";
import { type Carried, isBehindUs, type Sample } from "./sample.ts";
import type { Sender } from "./senders.ts";

type Variant = "item" | "plain";

/** The `xmpp` section of a gateway that publishes what others send, and reads what is sent by XMPP. */
export const xmppSection = (prosody: Prosody, ends: readonly string[]): Readonly<Record<string, unknown>> => {
  const filters = (ofXmpp: boolean): string[] =>
    ends.filter((end) => end.startsWith("xmpp") === ofXmpp).map((end) => `walk/${end}/#`);
  return {
    ...{ service: prosody.service, domain: prosody.domain, username: "gw", password: "gwpw" },
    ...{ publish: filters(false), subscribe: filters(true) },
  };
};

/** Somebody at the service who publishes: as a gateway does, or as any program. */
export async function xmppSender(prosody: Prosody, variant: Variant): Promise<Sender> {
  const client = await connectClient(prosody, "alice");
  return {
    async send(sample) {
      const { channel, payload, retain } = sample;
      const id = randomBytes(16).toString("hex");
      const answer =
        retain && payload.length === 0
          ? await client.retract(channel, "current")
          : await client.publish(
              channel,
              retain ? "current" : id,
              variant === "item" ? written(sample, id) : plain(sample),
            );
      if (answer.is !== "result") throw new Error(`${channel}: ${JSON.stringify(answer)}`);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function written({ correlation, qos, ttl, ...sample }: Sample, id: string): Element {
  const now = Date.now();
  const message: Message = {
    ...{ id, seq: 0, publishedAt: now, origin: "walk", priority: sample.priority ?? 0 },
    ...{ channel: sample.channel, payload: sample.payload, retain: sample.retain },
    // 0, 1 or 2: the samples of XMPP.
    qos: qos as Message["qos"],
    ...(ttl !== undefined && { expiresAt: now + ttl * 1000 }),
    ...(sample.contentType !== undefined && { contentType: sample.contentType }),
    ...(sample.properties !== undefined && { properties: sample.properties }),
    ...(sample.responseChannel !== undefined && { responseChannel: sample.responseChannel }),
    ...(correlation !== undefined && { correlation: Buffer.from(correlation, "hex") }),
  };
  const said = { gateway: "walk", ...(ttl !== undefined && { expiresInMs: ttl * 1000 }) };
  const made = itemPayload(message, said);
  if (made === "too-large") throw new Error(made);
  return made;
}

/** JSON in the element of XEP-0335, XML as it is, everything else as data (XEP-0231). */
function plain({ contentType, payload }: Sample): Element {
  const text = payload.toString();
  const isText = Buffer.from(text).equals(payload);
  if (contentType === "application/json" && isText) return element("json", { xmlns: Namespace.json }, [text]);
  if (contentType === "application/xml") return element("reading", { xmlns: "urn:walk" }, ["21.5"]);
  const type = contentType === undefined ? {} : { type: contentType };
  return element("data", { xmlns: "urn:xmpp:bob", ...type }, [payload.toString("base64")]);
}

/** A subscriber of every node on which the gateway publishes, and what lies there. */
export interface XmppReceiver extends Receiver {
  /** The state of a node; undefined: it has none. */
  state(channel: string): Promise<Carried | undefined>;
}

/** Makes the nodes of all samples, and subscribes to those of others. */
export async function openXmpp(prosody: Prosody, samples: readonly Sample[]): Promise<XmppReceiver> {
  await using owner = await connectClient(prosody, "alice");
  await Promise.all(samples.map(({ channel }) => owner.create(channel)));
  const client = await connectClient(prosody, "bob");
  const read = samples.filter(({ from }) => !isBehindUs(from));
  const answers = await Promise.all(read.map(({ channel }) => client.subscribe(channel)));
  const failed = answers.filter(({ is }) => is !== "result").length;
  if (failed > 0) throw new Error(`${failed} nodes could not be subscribed to`);
  return {
    on: arrivals(client),
    state: async (channel) => {
      const found = (await client.items(channel))?.find(({ id }) => id === "current");
      return found && carriedBy(found.id, found.payload);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function arrivals(client: PubsubClient): Receiver["on"] {
  const byNode = new Map<string, Carried[]>();
  let [items, retractions] = [0, 0];
  const put = (node: string, one: Carried): void => {
    const before = byNode.get(node);
    if (before === undefined) byNode.set(node, [one]);
    else before.push(one);
  };
  return (channel) => {
    for (; items < client.seen.length; items += 1) {
      const { node, id, payload } = client.seen[items] ?? unreachable();
      put(node, carriedBy(id, payload));
    }
    for (; retractions < client.retracted.length; retractions += 1) {
      const [, node = ""] = /^(.*) current$/.exec(client.retracted[retractions] ?? "") ?? [];
      put(node, { payload: Buffer.alloc(0), qos: 0, retain: true });
    }
    return byNode.get(channel) ?? [];
  };
}

function unreachable(): never {
  throw new Error("the list has become shorter");
}

function carriedBy(id: string, payload: Element): Carried {
  const item: ReadItem | undefined = readItem(payload);
  if (item === undefined) throw new Error("the gateway wrote an item that cannot be read");
  const { ttlMs, correlation, priority } = item;
  return {
    payload: Buffer.from(item.payload),
    qos: item.qos ?? Number.NaN,
    retain: id === "current",
    ttl: ttlMs === undefined ? undefined : Math.ceil(ttlMs / 1000),
    contentType: item.contentType,
    priority,
    properties: byName(item.properties),
    responseChannel: item.responseChannel,
    correlation: correlation && Buffer.from(correlation).toString("hex"),
  };
}
