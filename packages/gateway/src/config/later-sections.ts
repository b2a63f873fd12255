import { z } from "zod";
import {
  anyText,
  channel,
  coapUrl,
  duration,
  filter,
  list,
  name,
  oneOf,
  qos,
  secret,
  url,
  whole,
  yesOrNo,
} from "./fields.ts";
import { listeners, outbox, rule, tlsConnection } from "./shared-sections.ts";

// Parts of the file that are checked today and served in a later version: `not-available.ts` refuses what asks
// for something.

/** `mqtt.remotes[]`: brokers this gateway connects to. */
export const remote: z.ZodType = z.strictObject({
  name,
  url: url(["mqtt", "mqtts", "ws", "wss"], "mqtt://broker.example:1883", true),
  version: z.literal([4, 5]).default(5),
  username: anyText.exactOptional(),
  password: secret.exactOptional(),
  tls: tlsConnection.exactOptional(),
  publish: list(rule).default([]),
  subscribe: list(rule).default([]),
  outbox: outbox.exactOptional(),
});

const observed = { channel, qos: qos.exactOptional(), expire: yesOrNo.exactOptional() };

/** `coap`. */
export const coapSection: z.ZodType = z.strictObject({
  listen: listeners(["coap", "coaps", "coap+tcp"], "coap://[::]:5683").exactOptional(),
  prefix: anyText.exactOptional(),
  observe: list(z.strictObject({ url: coapUrl, ...observed })).exactOptional(),
  poll: list(z.strictObject({ url: coapUrl, ...observed, every: duration })).exactOptional(),
  send: list(
    z.strictObject({
      name,
      from: filter,
      url: coapUrl,
      method: oneOf(["put", "post"]).exactOptional(),
      outbox: outbox.exactOptional(),
    }),
  ).exactOptional(),
  oscore: list(
    z.strictObject({
      id: anyText,
      masterSecret: secret,
      masterSalt: secret.exactOptional(),
      senderId: anyText,
      recipientId: anyText,
      idContext: anyText.exactOptional(),
    }),
  ).exactOptional(),
  psk: list(z.strictObject({ id: anyText, key: secret })).exactOptional(),
});

const xmppUrl = url(["xmpp", "xmpps"], "xmpp://127.0.0.1:5222", true);

/** `xmpp`. */
export const xmppSection: z.ZodType = z.strictObject({
  service: xmppUrl.exactOptional(),
  domain: anyText.exactOptional(),
  username: anyText.exactOptional(),
  password: secret.exactOptional(),
  pubsub: anyText.exactOptional(),
  publish: list(filter).exactOptional(),
  subscribe: list(filter).exactOptional(),
  tls: tlsConnection.exactOptional(),
  history: whole(0, 1_000_000).exactOptional(),
  component: z.strictObject({ service: xmppUrl, domain: anyText, secret }).nullable().exactOptional(),
  outbox: outbox.exactOptional(),
});
