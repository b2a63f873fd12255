import { type BridgeStatus, isValidFilter, type LedgerRow, type Receipt } from "@nomq/core";
import { z } from "zod";
import type { MessageJson } from "./message-json.ts";

/** Schemas with a name of their own in the OpenAPI document; their descriptions lie in the same register. */
export const named: { add(schema: z.ZodType, name: { readonly id: string }): void } = {
  add(schema, { id }) {
    z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), id });
  },
};

/** Unix milliseconds. */
export const timeSchema: z.ZodNumber = z.number().describe("Unix milliseconds");

export const errorSchema: z.ZodType = z
  .strictObject({ error: z.strictObject({ code: z.string(), text: z.string() }) })
  .describe("Why a request was refused; docs/errors.md explains the codes");
named.add(errorSchema, { id: "Error" });

const FILTER = { params: { code: "filter-invalid" }, error: "+ is one whole level, # the last" };

/** A channel in a path, decoded. A name that is none has no messages. */
export const channelSchema: z.ZodType<string> = z
  .string()
  .describe("The channel, percent-encoded; slashes need not be");

/** A filter of channels. */
export const filterSchema: z.ZodType<string> = z
  .string()
  .refine(isValidFilter, FILTER)
  .describe("A channel pattern: + is one whole level, # all that follow");

export const receiptSchema: z.ZodType<Receipt> = z.strictObject({
  id: z.string().describe("The message's id; of a refused message, an id that names only this receipt"),
  channel: z.string(),
  at: z.enum(["accepted", "stored", "delivered", "refused"]).describe("The highest point reached"),
  reason: z.string().exactOptional().describe("Why it was refused, or echo"),
  outcomes: z.array(
    z.strictObject({
      attachment: z.string(),
      is: z.enum(["pending", "delivered", "expired", "dropped", "refused", "uncertain"]),
      reason: z.string().exactOptional(),
      at: timeSchema,
    }),
  ),
});
named.add(receiptSchema, { id: "Receipt" });

export const messageSchema: z.ZodType<MessageJson> = z.strictObject({
  channel: z.string(),
  payload: z.string().exactOptional().describe("The payload, where it is text"),
  payloadBase64: z.base64().exactOptional().describe("The payload, where it is not"),
  qos: z.literal([0, 1, 2]),
  retain: z.boolean(),
  contentType: z.string().exactOptional(),
  expiresAt: timeSchema.exactOptional(),
  priority: z.int().min(0).max(15),
  id: z.string(),
  origin: z.string().describe("The attachment, or else the bridge, through which it came in"),
});
named.add(messageSchema, { id: "Message" });

const count = z.int().min(0);

const ledgerSchema: z.ZodType<LedgerRow> = z
  .strictObject({
    accepted: count,
    delivered: count,
    expired: count,
    dropped: z.record(z.string(), count).describe("By reason"),
    refused: count,
    uncertain: count,
    pending: count,
  })
  .describe("accepted is the sum of all others");
named.add(ledgerSchema, { id: "Ledger" });

const presenceSchema = z.strictObject({
  state: z.enum(["online", "offline"]),
  reason: z.string(),
  since: timeSchema,
  address: z.string().exactOptional(),
});

/** An attachment; parts may be added to it. */
export const attachmentSchema: z.ZodType = z.looseObject({
  name: z.string(),
  as: z.string().describe("The principal it acts for"),
  filters: z.array(z.string()),
  durable: z.boolean(),
  state: z.enum(["active", "paused", "unclaimed"]),
  reason: z.string().exactOptional(),
  ledger: ledgerSchema,
  progress: z
    .strictObject({
      open: count.describe("Messages on their way to the peer now"),
      movedAt: timeSchema.exactOptional().describe("When one last came to an end there"),
      stillSince: timeSchema.exactOptional().describe("Since when some wait and none does"),
    })
    .describe("Looked at every ten seconds"),
  presence: presenceSchema.exactOptional().describe("Of NoMQ peers: whether the peer is there"),
});
named.add(attachmentSchema, { id: "Attachment" });

export const bridgeStatusSchema: z.ZodType<BridgeStatus> = z.strictObject({
  state: z.enum(["starting", "ready", "degraded", "reconnecting", "closed"]),
  reason: z.string().exactOptional(),
  since: timeSchema,
});
named.add(bridgeStatusSchema, { id: "BridgeStatus" });
