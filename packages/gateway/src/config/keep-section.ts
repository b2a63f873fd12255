import type { HistoryRule } from "@nomq/core";
import { z } from "zod";
import { duration, filter, list, whole } from "./fields.ts";

/** How long what has happened is kept. */
export interface KeepConfig {
  /** Milliseconds. */
  readonly receipts: number;
  /** The first rule that matches a channel counts. */
  readonly history: readonly HistoryRule[];
}

const DAY_MS = 24 * 60 * 60 * 1_000;

const historyRule = z
  .strictObject({
    filter,
    last: whole(0, 1_000_000).default(10),
    for: duration.default(DAY_MS),
  })
  .transform(({ for: forMs, ...rule }): HistoryRule => ({ ...rule, forMs }));

/** `keep`. */
export const keepSection: z.ZodType<KeepConfig> = z.strictObject({
  receipts: duration.default(DAY_MS),
  history: list(historyRule).default([{ filter: "#", last: 10, forMs: DAY_MS }]),
});
