import { z } from "zod";
import { anyText, list, name, secret, url } from "./fields.ts";
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
