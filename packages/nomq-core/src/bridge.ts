import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Draft, Message } from "./message.ts";
import type { Action, Extent, Principal } from "./principal.ts";
import type { SessionLog } from "./session-log.ts";

/** Every call that waits takes one: its abort ends the waiting. */
export interface AbortOptions {
  readonly signal?: AbortSignal;
}

/** Where a publisher wants to be told that its message has arrived; each point includes those before. */
export type AckPoint = "accepted" | "stored" | "delivered";

/** The end of a message at one attachment. */
export type FinalOutcome = "delivered" | "expired" | "dropped" | "refused" | "uncertain";

/** What became of a message at one attachment. */
export interface ReceiptOutcome {
  readonly attachment: string;
  readonly is: "pending" | FinalOutcome;
  readonly reason?: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/** What became of a published message. */
export interface Receipt {
  /** The message's id; of a refused message, an id that names only this receipt. */
  readonly id: string;
  readonly channel: string;
  /** The highest point reached. `delivered`: every outcome is. */
  readonly at: AckPoint | "refused";
  /** Why it was refused (`channel-invalid`, `access`, `outbox-full: NAME`, `store-busy`, …), or `echo`. */
  readonly reason?: string;
  readonly outcomes: readonly ReceiptOutcome[];
  /** Of {@link Port.publish} with a `once` that had come before: this is the first message's receipt, nothing was routed. */
  readonly repeated?: true;
}

/** How a call of {@link Peer.deliver} ended. */
export type Outcome =
  | {
      readonly is: "delivered";
      /** The bridge's own state, written in the commit that ends the message here: both last, or neither. */
      readonly state?: readonly StateChange[];
    }
  | { readonly is: "uncertain" | "refused"; readonly reason: string }
  | { readonly is: "retry"; readonly reason: string; readonly afterMs?: number };

/** What goes with a message handed to a peer. */
export interface Delivery {
  /** 1 for the first call; above 1 the message may have been sent before. Exact over a crash for QoS 2. */
  readonly attempt: number;
  readonly cause: "live" | "retained" | "repair";
  /** Time left to live; absent without expiry. */
  readonly expiresInMs?: number;
  /** Aborts when the attachment ends, or the right to the message goes. Answer within one second. */
  readonly signal: AbortSignal;
}

/** What an outbox may hold and what happens when it is full. */
export interface OutboxLimits {
  /** Default 10,000. */
  readonly messages: number;
  /** Payload and name bytes. Default 64 MiB. */
  readonly bytes: number;
  /** Default `drop-oldest`. `refuse` turns publishers away with `outbox-full: NAME`. */
  readonly whenFull: "drop-oldest" | "drop-newest" | "refuse";
}

/** One peer with delivery state of its own. */
export interface Peer {
  /** Stable over restarts: `nomq:pump-7`, `mqtt:broker`, `mqtt:remote:cloud`. */
  readonly name: string;
  readonly as: Principal;
  /** Absent = as stored; none stored = none. */
  readonly filters?: readonly string[];
  /** Its interest and outbox survive restarts. */
  readonly durable: boolean;
  /**
   * `deliver`: sent by the hub, at attach and for added filters; to a durable peer that comes back also what was
   * cleared meanwhile. `pull`: read by the bridge. Absent: none.
   */
  readonly retained?: "deliver" | "pull";
  /** Calls of `deliver` open at once, over all lanes. Default 1. */
  readonly window?: number;
  /** One connection that keeps order; its failure ends all its open calls. Default false. */
  readonly ordered?: boolean;
  /** False where what comes back is a peer's own word, never our echo. Default true. */
  readonly echoes?: boolean;
  /** Larger payloads are `refused: too-large` for this peer. Default none. */
  readonly maxPayload?: number;
  readonly outbox?: Partial<OutboxLimits>;
  /** Hands one message to the peer; resolves when the next hop has it. A rejection counts as `retry`. */
  deliver(message: Message, delivery: Delivery): Promise<Outcome>;
}

/** Counts that always balance: accepted = delivered + expired + all dropped + refused + uncertain + pending. */
export interface LedgerRow {
  readonly accepted: number;
  readonly delivered: number;
  readonly expired: number;
  /** By reason: overflow, superseded, detached, restart, forgotten, … */
  readonly dropped: Readonly<Record<string, number>>;
  readonly refused: number;
  readonly uncertain: number;
  readonly pending: number;
}

/** A peer's place at the hub: its filters, one outbox, one order, one ledger row. Dispose detaches. */
export interface Attachment extends AsyncDisposable {
  readonly name: string;
  /** In force when resolved. Rejects with `filter-invalid`, changing nothing. */
  change(filters: { readonly add?: readonly string[]; readonly remove?: readonly string[] }): Promise<void>;
  /** No new calls; open ones go on, messages wait. */
  pause(reason: string): void;
  /** Calls open again; messages that wait after a `retry` wait no longer. */
  resume(): void;
  /** Sends retained state again: new session id, first packet after silence, reconnect. Default: all its filters. */
  repair(filters?: readonly string[]): void;
  ledger(): LedgerRow;
}

/** A bridge's own state, keyed by bytes; an absent value deletes. */
export interface StateChange {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

/** What goes with a publish. */
export interface PublishOptions extends AbortOptions {
  /** When the promise resolves. Default `stored`. */
  readonly until?: AckPoint;
  /** The attachment the message comes from: it is not delivered there again, and echoes are told apart. */
  readonly attachment?: string;
  /** Names one transfer; the same key again gets the first receipt and routes nothing. */
  readonly once?: string;
  /** Written in the message's own commit; where the message is refused, in another one. */
  readonly state?: readonly StateChange[];
  /** As `state`, and only with the message: where it is refused, none of this is written. */
  readonly marks?: readonly StateChange[];
  /**
   * Stands for messages that must not pass each other, of which several wait for the store at once: when one is refused
   * because there was no room or a commit failed, those behind it that have the same object are, as `out-of-order`. To
   * offer them again, take another object. QoS 0 without retain waits for no commit and so passes those that do.
   */
  readonly series?: object;
}

/** Which part of a channel's history. */
export interface HistoryRange {
  /** At most so many, the youngest ones. Default: all. */
  readonly last?: number;
  /** Published at this time or later, in Unix milliseconds. Default: at any time. */
  readonly since?: number;
}

/** Options of {@link Port.channels}. */
export interface ChannelsOptions extends AbortOptions {
  /** False: ends after the names known now. Default true. */
  readonly follow?: boolean;
}

/** All of the hub that a bridge may use. */
export interface Port {
  /**
   * Resolves at `until`; a refusal is a receipt, never a throw. An abort, or the end of the hub, ends the waiting and
   * not the message: it resolves with the receipt as it is then. `until: delivered` resolves when every outcome is
   * final; with nobody to deliver to that is at once, as `delivered` without outcomes.
   */
  publish(draft: Draft, from: Principal, options?: PublishOptions): Promise<Receipt>;
  /** Ends the life of a `once` key. */
  release(once: string): void;
  /** What this bridge remembered. */
  state(): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Durable when resolved. */
  remember(changes: readonly StateChange[]): Promise<void>;
  /** Rejects with `attachment-in-use` for a name already attached; a failed attach leaves nothing. */
  attach(peer: Peer, options?: AbortOptions): Promise<Attachment>;
  /** Retained values under the filters that the principal may see, each read when asked for; ends. */
  retained(filters: readonly string[], as: Principal): AsyncIterable<Message>;
  /** The retained value of one channel. */
  latest(channel: string, as: Principal): Promise<Message | undefined>;
  /**
   * The same at once, where the hub has it in memory because it was asked for before: `none` is no value. Undefined:
   * ask {@link latest}, which waits for changes under way where that matters.
   */
  latestNow(channel: string, as: Principal): Message | "none" | undefined;
  /**
   * What the channel's history keeps, oldest first, as far as the principal may subscribe to it; without what has
   * expired. How much is kept is the store's: by default the last 10 messages of QoS 1 and 2 or with retain, 24 hours.
   */
  history(channel: string, range: HistoryRange, as: Principal): AsyncIterable<Message>;
  /** Known names under the filter, then each new one, until aborted or the hub closes. */
  channels(filter: string, options?: ChannelsOptions): AsyncIterable<string>;
  may(who: Principal, action: Action, channel: string): boolean;
  /** How much of a filter somebody may have: asked at a subscription. */
  extent(who: Principal, action: Action, filter: string): Extent;
  /** Calls back after every change of what is allowed; answers how to stop that. */
  onAccessChange(changed: () => void): () => void;
  receipt(id: string): Promise<Receipt | undefined>;
  /** The receipt now and after every change; ends when every outcome is final. */
  follow(id: string, options?: AbortOptions): AsyncIterable<Receipt>;
  readonly clock: Clock;
  /**
   * By how much the wall clock was set while no hub ran, milliseconds: what a bridge wrote down before is said in the
   * wall time of then. 0 where it was not, or nobody can tell.
   */
  clockSetBy(): number;
  readonly log: Log;
  /** Where who did what and when is recorded. */
  readonly sessionLog: SessionLog;
}

/** A bridge's state, with the reason and since when (Unix milliseconds). */
export interface BridgeStatus {
  readonly state: "starting" | "ready" | "degraded" | "reconnecting" | "closed";
  readonly reason?: string;
  readonly since: number;
}

/** One protocol, with its listeners and connections. Disposing stops it. */
export interface Bridge extends AsyncDisposable {
  readonly name: string;
  /** Claims its durable peers and restores its state; opens no socket. Called on every bridge before any start. */
  attach(port: Port): Promise<void>;
  /** Opens listeners and connections; an absent remote is a status, not a pending start. */
  start(options?: AbortOptions): Promise<void>;
  /** Drains and ends attachments; idempotent; works after a failed start. */
  stop(options?: AbortOptions): Promise<void>;
  status(): BridgeStatus;
  /** Each caller has its own; begins with the current one; a slow reader sees the latest; ends at `closed`. */
  statusChanges(options?: AbortOptions): AsyncIterable<BridgeStatus>;
  /** The addresses it listens on now, with real ports: `mqtt://127.0.0.1:1883`. */
  addresses(): readonly string[];
}

/** Whether messages move at an attachment: looked at every ten seconds, so times are that exact. Unix milliseconds. */
export interface Progress {
  /** Calls of {@link Peer.deliver} open now. */
  readonly open: number;
  /** When messages were last seen to have come to an end at the peer: delivered, refused or uncertain. Absent: not in this run. */
  readonly movedAt?: number;
  /** Since when messages wait, the peer may be called, and none has come to an end. Absent: it moves, or nothing waits. */
  readonly stillSince?: number;
}

/** Whether the store takes what it is given. */
export interface StoreProgress {
  /** Publishes and changes that wait for a commit. */
  readonly waiting: number;
  /** Since when the same commit is open, Unix milliseconds, to within ten seconds. Absent: commits end. */
  readonly stillSince?: number;
}

/** One attachment as `/healthz` and the API show it. */
export interface AttachmentState {
  readonly name: string;
  readonly as: Principal;
  readonly filters: readonly string[];
  readonly durable: boolean;
  readonly state: "active" | "paused" | "unclaimed";
  readonly reason?: string;
  readonly ledger: LedgerRow;
  readonly progress: Progress;
}

/** In-process router between attachments. */
export interface Hub extends AsyncDisposable {
  /** Before `start`: joins it. After: attaches and starts the bridge. */
  add(bridge: Bridge): void;
  /** Opens the store, attaches all bridges, then starts them. */
  start(options?: AbortOptions): Promise<void>;
  /** A port for an embedded user or a bridge of that name. */
  port(name: string): Port;
  attachments(): readonly AttachmentState[];
  /** How the store keeps up; nothing waits before `start`. */
  store(): StoreProgress;
  /** Detaches and deletes interest, rows and counts in one commit. */
  forget(name: string): Promise<void>;
}
