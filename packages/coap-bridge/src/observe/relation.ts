import type { Principal } from "@nomq/core";
import type { Outgoing, Remote, Sent, SentOutcome } from "../messaging/messaging.ts";
import type { Code } from "../wire/code.ts";
import type { ObservedChannel } from "./observed-channels.ts";
import type { Wish } from "./observers.ts";
import type { RelationState } from "./relation-state.ts";
import { OPENING } from "./relation-state.ts";
import type { Telling } from "./telling.ts";

/** What a relation is made of. */
export interface RelationFacts {
  readonly remoteKey: string;
  readonly token: Uint8Array;
  readonly channel: ObservedChannel;
  readonly as: Principal;
  readonly confirmable: boolean;
  readonly all: boolean;
  readonly wish: Wish;
  readonly transfer: string | undefined;
}

/** What a relation calls back: it is handed to the message layer as these functions, made once. */
export interface Voice {
  next(relation: Relation): Outgoing | undefined;
  ended(relation: Relation, outcome: SentOutcome, isConfirmed: boolean): void;
}

/** One observer of one channel (RFC 7641 section 4.1): endpoint and token. */
export class Relation {
  readonly remoteKey: string;
  readonly token: Uint8Array;
  readonly tokenKey: string;
  readonly channel: ObservedChannel;
  readonly as: Principal;
  readonly confirmable: boolean;
  readonly wish: Wish;
  /** Absent until listeners are open, for a relation of an earlier run. */
  remote: Remote | undefined;
  state: RelationState = OPENING;
  /** The Content-Format it began with. */
  format: number | undefined;
  /** The newest change it was given to say: an older one never follows. */
  seq = 0;
  /** The `seq` of the value it was told last; 0: that there is none. */
  told = 0;
  /** What is written down of `told`; undefined: nothing is written down. */
  keptTold: number | undefined;
  /** Under which it fetches further blocks. */
  readonly transfer: string | undefined;
  /** Its beginning is in the session log. */
  isRecorded = false;
  /** The notification that is out and unacknowledged. */
  said: Telling | undefined;
  outgoing: Outgoing | undefined;
  /** Ends the relation with this code. */
  final: Code | undefined;
  sent: Sent | undefined;
  isConfirming = false;
  /** When it last answered, by the monotonic clock. */
  checkedAt: number = Number.NEGATIVE_INFINITY;
  readonly next: () => Outgoing | undefined;
  readonly endedCon: (outcome: SentOutcome) => void;
  readonly endedNon: (outcome: SentOutcome) => void;
  private newest: Telling | undefined;
  private readonly row: Telling[] | undefined;

  constructor(facts: RelationFacts, voice: Voice) {
    this.remoteKey = facts.remoteKey;
    this.token = facts.token;
    this.tokenKey = tokenKey(facts.token);
    this.channel = facts.channel;
    this.as = facts.as;
    this.confirmable = facts.confirmable;
    this.wish = facts.wish;
    this.transfer = facts.transfer;
    this.row = facts.all ? [] : undefined;
    this.next = () => voice.next(this);
    this.endedCon = (outcome) => voice.ended(this, outcome, true);
    this.endedNon = (outcome) => voice.ended(this, outcome, false);
  }

  get all(): boolean {
    return this.row !== undefined;
  }

  /** Whether something waits to be said. */
  get hasMore(): boolean {
    if (this.final !== undefined) return true;
    return this.row === undefined ? this.newest !== undefined : this.row.length > 0;
  }

  /** Puts it behind what waits, or in its place; answers what it put out. */
  put(telling: Telling, mostInRow: number): Telling | undefined {
    if (this.row === undefined) {
      const before = this.newest;
      this.newest = telling;
      return before;
    }
    this.row.push(telling);
    return this.row.length > mostInRow ? this.row.shift() : undefined;
  }

  /** Takes what is to be said next. */
  take(): Telling | undefined {
    if (this.row !== undefined) return this.row.shift();
    const telling = this.newest;
    this.newest = undefined;
    return telling;
  }
}

/** A token as the key of a map: a byte a character. */
export const tokenKey = (token: Uint8Array): string => Buffer.from(token).toString("latin1");
