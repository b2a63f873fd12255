/** What became of the notifications of messages: accepted = delivered + coalesced + expired + all dropped + pending. */
export interface ObserverLedgerRow {
  /** Messages to be told: once for every observer of their channel. */
  readonly accepted: number;
  /** NON: sent. CON: acknowledged. */
  readonly delivered: number;
  /** A newer one took their place before they were sent or acknowledged. */
  readonly coalesced: number;
  /** Their time was over before they could be sent. */
  readonly expired: number;
  /**
   * By reason: `overflow`; `overtaken` by a newer one of the channel that was told first; `unsent`; `stopped`; and why
   * its relation ended.
   */
  readonly dropped: Readonly<Record<string, number>>;
  readonly pending: number;
}

/** What {@link Observers} show of themselves. */
export interface ObserveCounts {
  /** Relations now, and the endpoints and channels they join. */
  readonly observers: number;
  readonly endpoints: number;
  readonly channels: number;
  /** Relations that began, restored ones included. */
  readonly registered: number;
  /** Relations that ended, by reason: `cancelled`, `reset`, `timeout`, `replaced`, `moved`, `deleted`, `format`, `access`, `unreachable`. */
  readonly ended: Readonly<Record<string, number>>;
  /** Registrations answered without Observe, by reason: `limit`, `endpoint-limit`, `interest`. */
  readonly unregistered: Readonly<Record<string, number>>;
  /** Relations that began before the store had taken them: it was too slow, or failed. */
  readonly unsaved: number;
  /** Notifications that said nothing new: before Max-Age ran out, or to see who is still there. */
  readonly refreshes: number;
  readonly ledger: ObserverLedgerRow;
}
