import type { AbortOptions } from "@nomq/core";

/** What is to be published: the channel's state (item `current`), or an event (an item id of its own). */
export type NodeUse = { readonly item: "current" } | { readonly item: "event"; readonly qos: 0 | 1 | 2 };

/** Whether a channel's node can be published to. */
export type NodeReady =
  | { readonly is: "ready"; readonly node: string }
  /** The server may take it later: it was away, or said so. */
  | { readonly is: "retry"; readonly reason: string; readonly afterMs: number }
  /** The server's last word, as its condition: `forbidden`, `configuration-not-kept: access_model`. */
  | { readonly is: "refused"; readonly reason: string };

/** A node of ours, or the service, that is not as it should be; for the bridge's health. */
export interface NodeProblem {
  /** Absent: of the whole service. */
  readonly node?: string;
  /** `pubsub-service-missing`, `forbidden`, `configuration-not-kept: max_items=100`, … */
  readonly reason: string;
  /** Unix milliseconds. */
  readonly since: number;
}

/**
 * The nodes that we publish to: created and configured before the first item, looked at again after each new session.
 * A node starts with one item; the first event at QoS 1 or 2, or beside a state, raises it to the history.
 */
export interface OwnNodes extends AsyncDisposable {
  /** The answer where it is known already, so that a publish needs no promise. */
  readyNow(channel: string, use: NodeUse): NodeReady | undefined;
  /** Creates, configures or looks at the node first where that is needed. Answers come in the order of calls. Never rejects. */
  ready(channel: string, use: NodeUse, options?: AbortOptions): Promise<NodeReady>;
  /**
   * To be called when an item was handed to the link. True after an event: publish `current` again now, if the channel
   * has a retained value, for it would be evicted soon, or just was.
   */
  sent(channel: string, item: "current" | "event" | "retract"): boolean;
  /** The server did not know the node, or refused the item: the next publish looks at it again. */
  lost(channel: string): void;
  problems(): readonly NodeProblem[];
  counts(): OwnNodeCounts;
}

/** Counts since the registry was made, but `known`. */
export interface OwnNodeCounts {
  /** Nodes it knows now. */
  readonly known: number;
  readonly created: number;
  readonly configured: number;
  /** Gone when looked at after a new session, and made again. */
  readonly rebuilt: number;
  readonly failed: number;
}
