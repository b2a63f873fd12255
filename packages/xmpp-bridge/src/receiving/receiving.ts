import type { Port } from "@nomq/core";
import type { Link } from "../link/link.ts";
import type { ServiceInfo } from "../nodes/service-info.ts";

/** What the bridge publishes itself. */
export interface SentItem {
  readonly node: string;
  readonly item: string;
  /** Absent: the item was retracted. */
  readonly payload?: Uint8Array;
}

/** What receiving needs. */
export interface ReceivingOptions {
  readonly link: Link;
  readonly port: Port;
  /** The attachment that messages come from. */
  readonly attachment: string;
  /** The address of the pubsub service. */
  readonly pubsub: string;
  /** What the service says of itself; default: asked for nobody else. */
  readonly info?: ServiceInfo;
  /** Channels whose nodes are read. */
  readonly subscribe: readonly string[];
  /** Our own name in items. */
  readonly gateway: string;
  /** How often nodes are looked for. Default 60,000 ms. */
  readonly findEveryMs?: number;
  /** Nodes subscribed at most. Default 10,000. */
  readonly mostNodes?: number;
  /** A node was configured or deleted by somebody: what is known of it as a node of ours may be wrong. */
  changed?(channel: string): void;
  /** Events of others have pushed a state of ours out of its node's history. */
  evicted?(channel: string): void;
}

/**
 * Nodes → hub: finds and subscribes the nodes of the filters, catches up, publishes what comes. Who remembers what:
 *
 * | File | What | Until |
 * | --- | --- | --- |
 * | `node-memory.ts` | what was seen on one node: its state, its youngest 64 events | it is a value |
 * | `seen-nodes.ts` | the memory of every node, also of the last 1,000 that are gone | nobody asks for the node |
 * | `kept-memories.ts` | the same in the store, half a second later | the same |
 * | `marks.ts` | an item taken in, in the commit of its message, for that half second | the memory is written |
 * | `hub-state.ts` | the state that the hub has from a node: whether its memory is older | it is asked anew |
 * | `sent-items.ts` | what we sent ourselves: its notification is no news | that has come, or 60 s |
 * | `looking.ts` | what the last look for nodes found, and what we made since | the next look |
 * | `places.ts` | the nodes that are read, and what waits on each | they are left |
 */
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
  /** Of nodes that are not subscribed, or for another session of the account. */
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
