import type { AckPoint, OutboxLimits } from "@nomq/core";
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

const cidr = text("an address range such as 192.168.0.0/16", (value) =>
  /^[0-9a-fA-F:.]+\/\d{1,3}$/.test(value),
);

/** `loopback`, `none`, or ranges. */
const anonymous = z.union([oneOf(["loopback", "none"]), list(cidr)], {
  error: "expected loopback, none or a list of address ranges",
});

const ack: z.ZodType<AckPoint> = oneOf(["accepted", "stored", "delivered"]);

/** A listener of NoMQ: whoever has a key may come, so nothing says who else may. */
export function nomqListeners(): z.ZodType<ListenerConfig[]> {
  const address = url(["udp"], "udp://[::]:8888");
  const entry = z.strictObject({
    url: address,
    ack: ack.exactOptional(),
    ackTimeout: duration.exactOptional(),
  });
  return oneOrOther(address, entry);
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
    maxPayload: size.exactOptional(),
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
