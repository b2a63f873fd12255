import {
  type Asked,
  type CoapClient,
  openCoapClient,
  type Reply,
} from "../../packages/gateway/test/coap/client.ts";
import { type CoapOptionPair, numberOf, OPTION, uint } from "../real/coap-wire.ts";
import type { Receiver } from "./receivers.ts";
import type { Carried, Sample } from "./sample.ts";
import type { Sender } from "./senders.ts";

type Kind = "con" | "non";

/** Content-Formats of the walk (IANA). */
const FORMATS: Readonly<Record<string, number>> = {
  "text/plain;charset=utf-8": 0,
  "application/xml": 41,
  "application/json": 50,
};
/** Where there is no option, it means so many seconds (RFC 7252 section 5.10.5). */
const ABSENT_MAX_AGE = 60;
/** Relations of one endpoint are bounded. */
const CHANNELS_EACH = 50;

/** A device that sets, tells and deletes. */
export async function coapSender(port: number, type: Kind): Promise<Sender> {
  const client = await openCoapClient(port);
  return {
    async send(sample) {
      const reply = await client.ask(requestOf(sample, type));
      const isTaken = reply?.code === undefined ? type === "non" : reply.code.startsWith("2.");
      if (!isTaken) throw new Error(`${sample.channel}: ${reply?.code ?? "no answer"}`);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function requestOf({ channel, payload, qos, retain, ttl, priority, contentType }: Sample, type: Kind): Asked {
  if (retain && payload.length === 0 && type === "con") return { method: "delete", path: channel, type };
  const format = contentType === undefined ? undefined : FORMATS[contentType];
  const options: CoapOptionPair[] = format === undefined ? [] : [[OPTION.contentFormat, uint(format)]];
  const query = [
    ...(qos === (type === "con" ? 1 : 0) ? [] : [`qos=${qos}`]),
    ...(ttl === undefined ? [] : [`ttl=${ttl}`]),
    ...(priority === undefined ? [] : [`priority=${priority}`]),
  ];
  return { method: retain ? "put" : "post", path: channel, type, query, options, payload };
}

/** Observers of every channel. */
export async function openCoap(port: number, type: Kind, channels: readonly string[]): Promise<Receiver> {
  await using stack = new AsyncDisposableStack();
  const arrived = new Map<string, Carried[]>();
  for (let at = 0; at < channels.length; at += CHANNELS_EACH) {
    const client = stack.use(await openCoapClient(port));
    for (const path of channels.slice(at, at + CHANNELS_EACH)) {
      const came: Carried[] = [];
      let isFirst = true;
      const tell = (reply: Reply): void => {
        // The answer to the registration: there is no value yet.
        if (!isFirst) came.push(carriedBy(reply));
        isFirst = false;
      };
      const { registered, code } = await client.observe({ path, type, tell });
      if (!registered) throw new Error(`${path}: not observed, ${code}`);
      arrived.set(path, came);
    }
  }
  const kept = stack.move();
  return { on: (channel) => arrived.get(channel) ?? [], [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What a GET answers; undefined where there is no value. */
export async function getValue(client: CoapClient, path: string, type: Kind): Promise<Carried | undefined> {
  const reply = await client.ask({ path, type });
  if (reply?.code === "4.04") return undefined;
  if (reply?.code !== "2.05") throw new Error(`${path}: ${reply?.code ?? "no answer"}`);
  return carriedBy(reply);
}

function carriedBy({ type, payload, ...reply }: Reply): Carried {
  const format = numberOf(reply, OPTION.contentFormat);
  return {
    payload,
    qos: type === "CON" ? 1 : 0,
    retain: false,
    ttl: numberOf(reply, OPTION.maxAge) ?? ABSENT_MAX_AGE,
    contentType: Object.keys(FORMATS).find((name) => FORMATS[name] === format) ?? namedOf(format),
  };
}

const namedOf = (format: number | undefined): string | undefined =>
  format === undefined ? undefined : `coap/${format}`;
