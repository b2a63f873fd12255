/** What the bridge publishes itself. */
export interface SentItem {
  readonly node: string;
  readonly item: string;
  /** Absent: the item was retracted. */
  readonly payload?: Uint8Array;
}

/** Nodes → hub: finds and subscribes the nodes of the filters, catches up, publishes what comes. */
export interface Receiving extends AsyncDisposable {
  /** Reads what was remembered. Before `start`. */
  restore(): Promise<void>;
  /** Follows the link from now on. */
  start(): void;
  /** To be called before an item or retraction of ours is handed to the link, so that it is known when it comes back. */
  sent(item: SentItem): void;
  /** The bridge has just made the channel's node: it is read at once where it is asked for, all of it. */
  made(channel: string): void;
  /** What the operator should know: nodes not listed, too many, forbidden. At most a hundred. */
  problems(): readonly string[];
  counts(): ReceivingCounts;
}

/** Counts since the start, but `subscribed` and `waiting`. */
export interface ReceivingCounts {
  /** Nodes subscribed now. */
  readonly subscribed: number;
  /** Notifications that wait for the hub now. */
  readonly waiting: number;
  /** Items, in notifications and histories. */
  readonly received: number;
  readonly published: number;
  /** Of those, found by catching up after an outage. */
  readonly caughtUp: number;
  /** States cleared: retracted, purged, deleted, or gone after an outage. */
  readonly cleared: number;
  /** Own items and retractions that came back. */
  readonly echoes: number;
  readonly duplicates: number;
  readonly expired: number;
  /** Notifications from somebody else than the service. */
  readonly otherSource: number;
  /** Kept by the account's server while we were away: what they told of is read from the nodes. */
  readonly stored: number;
  /** Of nodes that are not subscribed. */
  readonly unwanted: number;
  /** Items without or with several payload elements, or with one that cannot be read. */
  readonly malformed: number;
  /** By the hub, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Outages after which nothing was left on a node of what had been seen last: its history was too short. */
  readonly gaps: number;
  /** Notifications put aside because the hub was slower, to be read from the node's history. */
  readonly overflowed: number;
  /** Retractions of events: what the server's history forgets. */
  readonly evicted: number;
  readonly configurations: number;
}
