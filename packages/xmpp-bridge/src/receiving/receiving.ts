/** What the bridge publishes itself, so that it is known when it comes back. */
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
  /** To be called before an item or retraction of ours is handed to the link. */
  sent(item: SentItem): void;
  problems(): readonly string[];
  counts(): ReceivingCounts;
}

/** Counts since the start, but `subscribed`. */
export interface ReceivingCounts {
  /** Nodes subscribed now. */
  readonly subscribed: number;
  readonly received: number;
  readonly published: number;
  readonly cleared: number;
  /** Own items that came back. */
  readonly echoes: number;
  readonly duplicates: number;
  readonly expired: number;
  /** Notifications from somebody else than the service. */
  readonly otherSource: number;
  /** Of nodes not subscribed, or that are no channel's. */
  readonly unwanted: number;
  /** Items without or with several payload elements, and what could not be read. */
  readonly malformed: number;
  /** Refused by the hub, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Items found by catching up after an outage. */
  readonly caughtUp: number;
  /** Nodes whose history was too short for the outage. */
  readonly gaps: number;
  /** Notifications put aside because the hub was slower, then read again from the node's history. */
  readonly overflowed: number;
  /** Retractions of events: what the server's history forgets. */
  readonly evicted: number;
}
