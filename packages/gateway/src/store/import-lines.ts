import { type LedgerRow, type Message, NomqError, type OutboxLimits, type ReceiptOutcome } from "@nomq/core";
import { z } from "zod";

// The lines that `exportStore` writes, as they are read again.

type Row = Omit<LedgerRow, "pending">;

/** One line of an export as it is read again. */
export type ImportLine =
  | {
      readonly kind: "store";
      readonly format: number;
      readonly id?: string;
      readonly highest: number;
      readonly start: number;
    }
  | {
      readonly kind: "attachment";
      readonly name: string;
      readonly as: string;
      readonly filters: readonly string[];
      readonly outbox: OutboxLimits;
      readonly row: Row;
    }
  | { readonly kind: "counts"; readonly name: string; readonly row: Row }
  | {
      readonly kind: "waiting";
      readonly message: Message;
      readonly attachment: string;
      readonly attempt: number;
    }
  | { readonly kind: "history" | "retained" | "cleared"; readonly message: Message }
  | {
      readonly kind: "receipt";
      readonly id: string;
      readonly channel: string;
      readonly publishedAt: number;
      readonly storedAt: number;
      readonly outcomes: readonly ReceiptOutcome[];
    }
  | { readonly kind: "once"; readonly key: string; readonly id: string; readonly seq: number }
  | {
      readonly kind: "state";
      readonly owner: string;
      readonly key: Uint8Array;
      readonly value: Uint8Array;
    }
  | { readonly kind: "damaged" }
  | { readonly kind: "end"; readonly lines: number; readonly crc32: number };

const count = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const seq = z.int().min(0);
const time = z.number();
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, "base64")));

const message = z.object({
  id: z.string(),
  seq,
  channel: z.string(),
  payload: bytes,
  qos: z.literal([0, 1, 2]),
  retain: z.boolean(),
  priority: z.int().min(0).max(255),
  publishedAt: time,
  origin: z.string(),
  contentType: z.string().exactOptional(),
  expiresAt: time.exactOptional(),
  responseChannel: z.string().exactOptional(),
  correlation: bytes.exactOptional(),
  properties: z.array(z.tuple([z.string(), z.string()])).exactOptional(),
});

const row = z.object({
  accepted: count,
  delivered: count,
  expired: count,
  dropped: z.record(z.string(), count),
  refused: count,
  uncertain: count,
});

const outcome = z.object({
  attachment: z.string(),
  is: z.enum(["pending", "delivered", "expired", "dropped", "refused", "uncertain"]),
  reason: z.string().exactOptional(),
  at: time,
});

const line: z.ZodType<ImportLine> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("store"),
    format: z.int(),
    id: z.string().exactOptional(),
    highest: seq,
    start: seq,
  }),
  z.object({
    kind: z.literal("attachment"),
    name: z.string(),
    as: z.string(),
    filters: z.array(z.string()),
    outbox: z.object({
      messages: count,
      bytes: count,
      whenFull: z.enum(["drop-oldest", "drop-newest", "refuse"]),
    }),
    row,
  }),
  z.object({ kind: z.literal("counts"), name: z.string(), row }),
  z.object({ kind: z.literal("waiting"), message, attachment: z.string(), attempt: seq }),
  z.object({ kind: z.literal(["history", "retained", "cleared"]), message }),
  z.object({
    kind: z.literal("receipt"),
    id: z.string(),
    channel: z.string(),
    publishedAt: time,
    storedAt: time,
    outcomes: z.array(outcome),
  }),
  z.object({ kind: z.literal("once"), key: z.string(), id: z.string(), seq }),
  z.object({ kind: z.literal("state"), owner: z.string(), key: bytes, value: bytes }),
  z.object({ kind: z.literal("damaged") }),
  z.object({ kind: z.literal("end"), lines: seq, crc32: z.int() }),
]);

/** Throws `import-invalid` with the line's number. */
export function parseLine(text: string, number: number): ImportLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(number, "is not JSON");
  }
  const parsed = line.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(number, `is not a line of an export: ${issue?.path.join(".")}: ${issue?.message}`);
}

export const invalid = (number: number, text: string): NomqError =>
  new NomqError("import-invalid", `line ${number} ${text}. Nothing was imported.`);
