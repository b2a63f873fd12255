import type { FinalOutcome, LedgerRow } from "../bridge.ts";
import type { LedgerDelta } from "./store.ts";

type Count = "accepted" | Exclude<FinalOutcome, "dropped">;

/** The reason of a drop that gave none. */
const UNSAID = "overflow";

/** Counts of one attachment that only rise. */
export class Counts {
  accepted = 0;
  delivered = 0;
  expired = 0;
  refused = 0;
  uncertain = 0;
  readonly dropped: Map<string, number> = new Map();

  count(what: Count): void {
    this[what] += 1;
  }

  settle(is: FinalOutcome, reason: string | undefined): void {
    if (is === "dropped") this.drop(reason ?? UNSAID, 1);
    else this[is] += 1;
  }

  drop(reason: string, by: number): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + by);
  }

  add(delta: LedgerDelta): void {
    this.accepted += delta.accepted ?? 0;
    this.delivered += delta.delivered ?? 0;
    this.expired += delta.expired ?? 0;
    this.refused += delta.refused ?? 0;
    this.uncertain += delta.uncertain ?? 0;
    for (const [reason, by] of Object.entries(delta.dropped ?? {})) this.drop(reason, by);
  }

  /** Everything that is final, by whatever way. */
  outcomes(): number {
    let sum = this.delivered + this.expired + this.refused + this.uncertain;
    for (const by of this.dropped.values()) sum += by;
    return sum;
  }

  row(pending: number): LedgerRow {
    const { accepted, delivered, expired, refused, uncertain } = this;
    return {
      accepted,
      delivered,
      expired,
      dropped: Object.fromEntries(this.dropped),
      refused,
      uncertain,
      pending,
    };
  }
}
