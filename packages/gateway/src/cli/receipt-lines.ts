import type { Receipt, ReceiptOutcome } from "@nomq/core";

/** Prints a receipt as it changes: what is new each time, in words. */
export interface ReceiptLines {
  /** The lines for what has changed since the last call. */
  next(receipt: Receipt): string;
}

/** Makes one; `since` is when the waiting began, Unix milliseconds. */
export function createReceiptLines(since: number): ReceiptLines {
  const said = new Map<string, string>();
  return {
    next(receipt) {
      const lines: string[] = [];
      if (said.size === 0) lines.push(`message ${receipt.id}`);
      said.set("", "");
      for (const outcome of receipt.outcomes) {
        const key = `/${outcome.attachment}`;
        const before = said.get(key);
        if (before === outcome.is) continue;
        said.set(key, outcome.is);
        const took = before === undefined ? undefined : outcome.at - since;
        lines.push(`${outcome.attachment}: ${outcomeText(outcome)}${tookText(took)}`);
      }
      return lines.map((line) => `${line}\n`).join("");
    },
  };
}

export const outcomeText = ({ is, reason }: ReceiptOutcome): string =>
  reason === undefined ? is : `${is} (${reason})`;

function tookText(ms: number | undefined): string {
  if (ms === undefined || ms < 0) return "";
  return ms < 1_000 ? ` after ${ms} ms` : ` after ${(ms / 1_000).toFixed(1)} s`;
}

/** All there is to say of it at once: how many attachments have it. */
export function sumText({ outcomes }: Receipt): string {
  if (outcomes.length === 0) return "nobody wants this channel: there was nobody to deliver it to";
  const delivered = outcomes.filter(({ is }) => is === "delivered").length;
  const pending = outcomes.filter(({ is }) => is === "pending").length;
  const waits = pending === 0 ? "" : `, ${pending} pending`;
  return `delivered at ${delivered} of ${outcomes.length}${waits}`;
}
