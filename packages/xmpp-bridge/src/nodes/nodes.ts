import type { AbortOptions } from "@nomq/core";
import type { IqFailure } from "../link/link.ts";

/** What a node must keep: the channel's state alone, or events too, with the state among them. */
export type Keeping = "state" | "history";

/** A node that can be published to. */
export interface ReadyNode {
  readonly is: "ready";
  readonly node: string;
  /** At least what was asked for: a node that keeps a history never goes back. */
  readonly keeping: Keeping;
  /** How many items it keeps, as its configuration read back says. */
  readonly items: number;
  /**
   * Publishing an item again makes it the youngest (Prosody). False: it keeps its place and is evicted all the same
   * (ejabberd), unless it is retracted first.
   */
  readonly renews: boolean;
}

/** A node that could not be made or set up. */
export interface FailedNode {
  readonly is: "failed";
  readonly node: string;
  /** What became of the request that failed. */
  readonly answer: IqFailure;
}

/** Whether a pubsub service is where the configuration says. */
export type PubsubService =
  | { readonly is: "there"; readonly kind: "prosody" | "ejabberd" | "other" }
  /** No such host, or nothing that calls itself pubsub. */
  | { readonly is: "absent"; readonly reason: string }
  /** The link went, or no answer came: to be asked again. */
  | { readonly is: "unknown"; readonly reason: string };

/** A node of ours that is not as it should be; for the bridge's health. */
export interface NodeProblem {
  readonly node: string;
  /** `forbidden`, `max_items: 100 instead of 251`, … */
  readonly reason: string;
  /** Unix milliseconds. */
  readonly since: number;
}

/** Counts since the start, but `known`. */
export interface NodeCounts {
  /** Nodes known now. */
  readonly known: number;
  readonly created: number;
  /** Nodes that were there and set up otherwise. */
  readonly configured: number;
  /** Nodes that were gone after a new session, and were made again. */
  readonly rebuilt: number;
  readonly failed: number;
}

/** The nodes that are ours: made, set up and known. What `publishing` uses of it. */
export interface Nodes {
  /** A new session has begun: asks who the service is. Own nodes are checked again when they are next used. */
  begin(options?: AbortOptions): Promise<PubsubService>;
  /** The channel's node where it is known to be ready for this; asks nobody. */
  ready(channel: string, keeping: Keeping): ReadyNode | undefined;
  /** Makes the channel's node, or sets it up, where that has not been done in this session. Never rejects. */
  prepare(channel: string, keeping: Keeping, options?: AbortOptions): Promise<ReadyNode | FailedNode>;
  /** The server said that the channel's node is not there, or is set up otherwise. */
  forget(channel: string): void;
  /**
   * Looks at every known node that has not been used in this session, a few at a time; resolves with the channels whose
   * nodes were gone and have been made again, empty. Ends early when the session is lost.
   */
  recheck(options?: AbortOptions): Promise<readonly string[]>;
  /**
   * Forgets what was wrong with nodes that could not be made: the next use tries again, and tells. Answers their channels.
   * Of nodes that are there {@link recheck} finds out.
   */
  letOff(): readonly string[];
  /** What is wrong with nodes now, at most a hundred. */
  problems(): readonly NodeProblem[];
  counts(): NodeCounts;
}
