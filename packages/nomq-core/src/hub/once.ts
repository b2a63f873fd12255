import { AgedMap } from "./aged-map.ts";
import type { ReceiptRecord } from "./receipts.ts";

/** How long a transfer's name is kept when nobody releases it (hub.md, "Deduplication"). */
const KEEP_MS = 24 * 60 * 60 * 1_000;

/** A transfer under way: its first publish has not settled. */
export interface Transfer {
  readonly scope: string;
  readonly until: number;
  /** The first message's id. */
  readonly id: string;
  /** Its receipt while its message waits for its commit: after that it is found by the id, as long as any. */
  open: ReceiptRecord | undefined;
  /** Released before its message was committed: ends with the commit. */
  isReleased: boolean;
}

/** Names of transfers that must not be routed twice. */
export class OnceKeys {
  private readonly byKey = new AgedMap<string, Transfer>();
  private readonly byScope = new Map<string, AgedMap<string, true>>();
  private readonly most: number;
  private readonly forgotten: (key: string) => void;

  constructor(options: { most: number; forgotten: (key: string) => void }) {
    this.most = options.most;
    this.forgotten = options.forgotten;
  }

  find(key: string): Transfer | undefined {
    return this.byKey.get(key);
  }

  begin(key: string, options: { scope: string; now: number; id: string; record?: ReceiptRecord }): Transfer {
    this.prune(options.now);
    const { scope, now, id, record } = options;
    const transfer: Transfer = {
      scope,
      until: now + KEEP_MS,
      id,
      open: record,
      isReleased: false,
    };
    this.byKey.set(key, transfer);
    const keys = this.byScope.get(scope) ?? new AgedMap();
    this.byScope.set(scope, keys);
    keys.set(key, true);
    const oldest = keys.oldest();
    if (keys.size > this.most && oldest !== undefined) this.forget(oldest);
    return transfer;
  }

  end(key: string): void {
    const transfer = this.byKey.get(key);
    if (transfer === undefined) return;
    this.byKey.delete(key);
    const keys = this.byScope.get(transfer.scope);
    keys?.delete(key);
    if (keys?.size === 0) this.byScope.delete(transfer.scope);
  }

  private prune(now: number): void {
    for (let key = this.byKey.oldest(); key !== undefined; key = this.byKey.oldest()) {
      if ((this.byKey.get(key)?.until ?? 0) > now) return;
      this.forget(key);
    }
  }

  private forget(key: string): void {
    this.end(key);
    this.forgotten(key);
  }
}
