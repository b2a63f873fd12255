import type { AbortOptions } from "@nomq/core";
import type { Element } from "../stream/element.ts";
import type { SlowAnswers } from "./rate-watch.ts";

/** Where the link stands. `since` and `retryAt` are Unix milliseconds. */
export type LinkState =
  | {
      readonly is: "connecting";
      readonly attempt: number;
      readonly since: number;
      /** What the attempt before ended with: it is true until this one comes online. */
      readonly after?: { readonly reason: string; readonly fatal: boolean };
    }
  | { readonly is: "online"; readonly jid: string; readonly resumed: boolean; readonly since: number }
  | {
      readonly is: "waiting";
      readonly reason: string;
      /** Credentials, a conflict, a missing host: only the operator can mend it. */
      readonly fatal: boolean;
      readonly retryAt: number;
      readonly since: number;
    }
  | { readonly is: "closed"; readonly since: number };

/** What became of one iq (RFC 6120 section 8). */
export type IqAnswer =
  | { readonly is: "result"; readonly stanza: Element }
  | {
      readonly is: "error";
      /** `wait` may be tried again; the others are final (RFC 6120 section 8.3.2). */
      readonly type: "auth" | "cancel" | "continue" | "modify" | "wait";
      /** `item-not-found`, `forbidden`, …, as the server wrote it. */
      readonly condition: string;
      /** The condition of XEP-0060, where there is one: `precondition-not-met`, `max-nodes-exceeded`. */
      readonly pubsub?: string;
      readonly text?: string;
    }
  /** No answer in time while online. It may or may not have been done. */
  | { readonly is: "unanswered" }
  /**
   * The stream died of this very stanza, twice, or certainly would (too large, a character that XML cannot hold): it is
   * not sent again.
   */
  | { readonly is: "poison"; readonly reason: string }
  /** The link was stopped, or the caller gave up. */
  | { readonly is: "aborted" };

/** Any answer but the result. */
export type IqFailure = Exclude<IqAnswer, { readonly is: "result" }>;

/** What a request asks for. */
export interface RequestOptions extends AbortOptions {
  /** Ahead of what waits, but for what is sent again: pings, subscriptions after a new session. */
  readonly first?: boolean;
  /** Default 15,000 ms of being online. */
  readonly timeoutMs?: number;
}

/**
 * One connection to a server, kept up: connects, authenticates, resumes or begins anew, and sends iqs within a window.
 * What was sent and not answered when a session was lost is sent again in order, ahead of the rest, with the same
 * content; after a resumption it is not. Nothing is sent before `online`.
 */
export interface Link extends AsyncDisposable {
  /** Connects in the background; an absent server is a state, not a rejection. */
  start(): void;
  state(): LinkState;
  /**
   * Calls back on every change, with `online` only once requests may be sent: those made in that call go ahead of what
   * waits if they are `first`. Answers how to stop that.
   */
  onState(changed: (state: LinkState) => void): () => void;
  /** Sends an iq (its `id` is the link's) and resolves with its answer; the answer's `from` is checked. Never rejects. */
  request(iq: Element, options?: RequestOptions): Promise<IqAnswer>;
  /** Messages and presences, in order. Iqs of others the link answers itself: yes to pings, no to the rest. */
  onStanza(receive: (stanza: Element) => void): () => void;
  counts(): LinkCounts;
}

/** Counts since the link was made. */
export interface LinkCounts {
  readonly attempts: number;
  readonly sessions: number;
  readonly resumptions: number;
  /** Requests sent again in a new session. */
  readonly replayed: number;
  readonly unanswered: number;
  readonly poisoned: number;
  /** Requests sent and not answered yet. */
  readonly open: number;
  /** Requests that wait for the window or the link. */
  readonly waiting: number;
  /** There once the server was found to answer far more slowly than was asked of it, for ten seconds: a limit of its. */
  readonly slow?: SlowAnswers;
}
