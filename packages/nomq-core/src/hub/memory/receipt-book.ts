import type { FinalOutcome, Receipt, ReceiptOutcome } from "../../bridge.ts";
import type { Message } from "../../message.ts";
import { AgedMap } from "../aged-map.ts";

interface Page {
  readonly channel: string;
  readonly publishedAt: number;
  readonly to: readonly string[];
  ended: Map<string, ReceiptOutcome> | undefined;
}

/** Receipts of stored messages, the newest ones. */
export class ReceiptBook {
  private readonly pages = new AgedMap<string, Page>();
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  open(message: Message, to: readonly string[]): void {
    this.pages.set(message.id, {
      channel: message.channel,
      publishedAt: message.publishedAt,
      to,
      ended: undefined,
    });
    const oldest = this.pages.oldest();
    if (this.pages.size > this.most && oldest !== undefined) this.pages.delete(oldest);
  }

  settle(message: Message, end: { name: string; is: FinalOutcome; reason?: string; at: number }): void {
    const page = this.pages.get(message.id);
    if (page === undefined) return;
    const { name, is, reason, at } = end;
    page.ended ??= new Map();
    page.ended.set(name, { attachment: name, is, ...(reason === undefined ? {} : { reason }), at });
  }

  receipt(id: string): Receipt | undefined {
    const page = this.pages.get(id);
    if (page === undefined) return undefined;
    const outcomes = page.to.map(
      (attachment) =>
        page.ended?.get(attachment) ?? ({ attachment, is: "pending", at: page.publishedAt } as const),
    );
    const isDelivered = outcomes.length > 0 && outcomes.every((outcome) => outcome.is === "delivered");
    return { id, channel: page.channel, at: isDelivered ? "delivered" : "stored", outcomes };
  }
}
