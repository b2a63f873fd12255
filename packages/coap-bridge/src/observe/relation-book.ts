import { createTally, type Principal } from "@nomq/core";
import type { Code } from "../wire/code.ts";
import { Response } from "../wire/code.ts";
import { createFanOut } from "./fan-out.ts";
import type { KeptRelations } from "./kept-relations.ts";
import type { ObservedChannel, ObservedChannels } from "./observed-channels.ts";
import { type Relation, tokenKey } from "./relation.ts";
import type { RelationRecords } from "./relation-records.ts";
import type { Roster } from "./roster.ts";
import type { Speaker } from "./speaker.ts";

/** What a book of relations needs. */
export interface RelationBookOptions {
  readonly roster: Roster;
  readonly channels: Pick<ObservedChannels, "leave">;
  readonly kept: KeptRelations;
  readonly speaker: Pick<Speaker, "drop" | "step">;
  readonly records: RelationRecords;
  readonly monotonic: () => number;
}

/** How relations end, and how many did for what reason. */
export interface RelationBook {
  /** At once and without a word. */
  end(relation: Relation, reason: string): void;
  /**
   * With a last notification, which is not repeated for longer than any other. Until it is {@link over} the relation
   * stays written down: who has not heard the end is told after a restart how things are.
   */
  finish(relation: Relation, code: Code, reason: string): void;
  /** The client takes up or gives up the token: a last notification of the relation before is not for it any more. */
  silence(remoteKey: string, token: Uint8Array): void;
  /** The last notification has arrived, or never will. */
  over(relation: Relation): void;
  /** The peer has answered nothing within MAX_TRANSMIT_WAIT: all its relations end (RFC 7641 section 4.5). */
  lost(relation: Relation, reason: "reset" | "timeout"): void;
  /** Every relation of the channel that was told nothing newer than `seq`. */
  deleteAll(channel: ObservedChannel, seq: number): void;
  /** Every relation whose principal may no longer. */
  revoke(may: (who: Principal, channel: string) => boolean): void;
  ended(): Readonly<Record<string, number>>;
  stop(): void;
}

const keyOf = ({ remoteKey, tokenKey }: Pick<Relation, "remoteKey" | "tokenKey">): string =>
  `${remoteKey}\0${tokenKey}`;

/** Makes the book of a roster. */
export function createRelationBook(options: RelationBookOptions): RelationBook {
  const { roster, channels, kept, speaker, records, monotonic } = options;
  const ended = createTally();
  // Thousands may end at once: others get their turns between.
  const chores = createFanOut<() => void>((run) => run(), monotonic);

  const leave = (relation: Relation, reason: string): boolean => {
    if (!roster.remove(relation)) return false;
    ended.add(reason);
    relation.channel.relations.delete(relation);
    records.ended(relation, reason);
    speaker.drop(relation, reason);
    channels.leave(relation.channel);
    return true;
  };
  /** Those that are still saying their last word. */
  const closing = new Map<string, Relation>();

  const forget = (relation: Relation): void => {
    const key = keyOf(relation);
    if (closing.get(key) === relation) closing.delete(key);
    // Another may have come with the same token: what is written down is its own.
    if (roster.find(relation.remoteKey, relation.token) === undefined) kept.forget(relation);
  };
  const end = (relation: Relation, reason: string): void => {
    leave(relation, reason);
    forget(relation);
    const { sent } = relation;
    relation.sent = undefined;
    speaker.step(relation, { on: "lost" });
    sent?.cancel();
  };
  const finish = (relation: Relation, code: Code, reason: string): void => {
    if (!leave(relation, reason)) return;
    relation.final = code;
    closing.set(keyOf(relation), relation);
    speaker.step(relation, { on: "news" });
  };
  return {
    end,
    finish,
    silence(remoteKey, token) {
      const last = closing.get(keyOf({ remoteKey, tokenKey: tokenKey(token) }));
      if (last !== undefined) end(last, "replaced");
    },
    over: forget,
    lost(relation, reason) {
      end(relation, reason);
      if (reason === "timeout") for (const other of roster.of(relation.remoteKey)) end(other, reason);
    },
    deleteAll(channel, seq) {
      for (const relation of channel.relations) {
        if (relation.seq > seq) continue;
        // At once, so that nothing newer is told to those who are about to hear the end.
        channel.relations.delete(relation);
        chores.push(() => finish(relation, Response.notFound, "deleted"));
      }
      chores.run();
    },
    revoke(may) {
      for (const relation of roster.all()) {
        chores.push(() => {
          if (may(relation.as, relation.channel.name)) return;
          finish(relation, Response.forbidden, "access");
        });
      }
      chores.run();
    },
    ended: () => ended.read(),
    stop: () => chores.stop(),
  };
}
