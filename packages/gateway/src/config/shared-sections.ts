import { isIP } from "node:net";
import { type AckPoint, type OutboxLimits, parseNetwork } from "@nomq/core";
import { z } from "zod";
import type { ListenerConfig } from "./config.ts";
import {
  anyText,
  duration,
  filter,
  list,
  oneOf,
  path,
  qos,
  size,
  text,
  url,
  whole,
  yesOrNo,
} from "./fields.ts";

/** A listener's or connection's TLS files. */
const tlsListener = z.strictObject({
  cert: path,
  key: path,
  ca: path.exactOptional(),
  clients: oneOf(["none", "optional", "required"]).exactOptional(),
});

/** TLS towards an outside server. */
export const tlsConnection: z.ZodType = z.strictObject({
  required: yesOrNo.exactOptional(),
  ca: path.nullable().exactOptional(),
  servername: anyText.nullable().exactOptional(),
});

/** A network, or one address. */
const network = text("an address range such as 192.168.0.0/16", (value) => parseNetwork(value) !== undefined);

/** What MQTT can say (MQTT 5.0, section 1.5.5), and the least that a broker needs to answer. */
const maxPayload = size.refine((value) => value >= 128 && value <= 268_435_460, {
  error: "expected a size from 128B to 255MiB",
});

/** `loopback`, `none`, or ranges. */
const anonymous = z.union([oneOf(["loopback", "none"]), list(network)], {
  error: "expected loopback, none or a list of address ranges",
});

const ack: z.ZodType<AckPoint> = oneOf(["accepted", "stored", "delivered"]);

/** Where a UDP socket is bound. */
export const udpListener = (example: string): z.ZodType<string, string> =>
  text(`udp:// with an IP address and a port, such as ${example}`, (value) => isSocketUrl(value, ["udp"]));

/** A listener of NoMQ: whoever has a key may come, so nothing says who else may. */
export function nomqListeners(): z.ZodType<ListenerConfig[]> {
  const address = udpListener("udp://[::]:8888");
  const entry = z.strictObject({
    url: address,
    ack: ack.exactOptional(),
    ackTimeout: duration.exactOptional(),
  });
  return oneOrOther(address, entry);
}

/** A listener of CoAP. */
export function coapListeners(): z.ZodType<ListenerConfig[]> {
  const schemes = ["coap", "coaps", "coap+tcp"];
  const address = text("coap:// with an IP address and a port, such as coap://[::]:5683", (value) =>
    isSocketUrl(value, schemes),
  );
  const entry = z.strictObject({
    url: address,
    tls: tlsListener.exactOptional(),
    ack: ack.exactOptional(),
    ackTimeout: duration.exactOptional(),
    anonymous: anonymous.exactOptional(),
    maxPayload: maxPayload.exactOptional(),
  });
  return oneOrOther(address, entry);
}

/** A socket is bound to an address: no name is looked up. */
function isSocketUrl(value: string, schemes: readonly string[]): boolean {
  const parts = /^([a-z+]+):\/\/(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  const [, scheme = "", six = "", four = "", port] = parts ?? [];
  return schemes.includes(scheme) && (isIP(six) === 6 || isIP(four) === 4) && Number(port) <= 65_535;
}

/** A list of listeners: each a URL, or an object with one. */
export function listeners(schemes: readonly string[], example: string): z.ZodType<ListenerConfig[]> {
  const address = url(schemes, example);
  const entry = z.strictObject({
    url: address,
    tls: tlsListener.exactOptional(),
    ack: ack.exactOptional(),
    ackTimeout: duration.exactOptional(),
    anonymous: anonymous.exactOptional(),
    origins: list(anyText).exactOptional(),
    maxPayload: maxPayload.exactOptional(),
  });
  return oneOrOther(address, entry);
}

function oneOrOther(
  address: z.ZodType<string, string>,
  entry: z.ZodType<ListenerConfig>,
): z.ZodType<ListenerConfig[]> {
  const either = z.union([address, entry], { error: "expected a URL or { url, … }" });
  return list(either.transform((value) => (typeof value === "string" ? { url: value } : value)));
}

/** What an outbox holds and what happens when it is full. */
export const outbox: z.ZodType<Partial<OutboxLimits>> = z.strictObject({
  messages: whole(1, 100_000_000).exactOptional(),
  bytes: size.exactOptional(),
  whenFull: oneOf(["drop-oldest", "drop-newest", "refuse"]).exactOptional(),
});

/** A rule of a bridge's remote: which filter becomes which. */
export const rule: z.ZodType = z.strictObject({
  from: filter,
  to: filter.exactOptional(),
  qos: qos.exactOptional(),
});
