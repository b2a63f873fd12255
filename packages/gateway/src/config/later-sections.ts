import { z } from "zod";
import { anyText, filter, list, name, secret, url, whole } from "./fields.ts";
import { outbox, rule, tlsConnection } from "./shared-sections.ts";

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
