import type { Messaging } from "../messaging/messaging.ts";
import type { KeptRelation } from "./kept-relations.ts";
import type { ObservedChannel, ObservedChannels } from "./observed-channels.ts";
import { Relation } from "./relation.ts";
import type { RelationBook } from "./relation-book.ts";
import type { Roster } from "./roster.ts";
import type { Speaker } from "./speaker.ts";

/** What bringing relations back needs. */
export interface RestoredOptions {
  readonly roster: Roster;
  readonly channels: ObservedChannels;
  readonly speaker: Speaker;
  readonly book: RelationBook;
  /** Whether the hub has handed over all that waited from the earlier run. */
  readonly isDrained: () => boolean;
}

/** Relations of an earlier run. */
export interface Restored {
  /** How many there were. */
  readonly count: number;
  /** Listeners are open: they are told what is newer than what they were told last. */
  begin(messaging: Pick<Messaging, "remote">): void;
}

/** Puts relations of an earlier run in their places; they wait for `begin`. */
export function createRestored(options: RestoredOptions, past: readonly KeptRelation[]): Restored {
  const { roster, channels, speaker, book, isDrained } = options;
  const waiting = new Map<ObservedChannel, Relation[]>();
  for (const { channel: name, accept, szx, ...facts } of past) {
    const channel = channels.open(name);
    const wish = { ...(accept === undefined ? {} : { accept }), ...(szx === undefined ? {} : { szx }) };
    const relation = new Relation({ ...facts, transfer: facts.transfer, channel, wish }, speaker);
    relation.format = facts.format;
    relation.told = facts.told;
    relation.keptTold = facts.told;
    relation.isRecorded = true;
    roster.add(relation);
    channel.relations.add(relation);
    const others = waiting.get(channel);
    if (others === undefined) waiting.set(channel, [relation]);
    else others.push(relation);
  }

  const open = (channel: ObservedChannel, relation: Relation): void => {
    // Who asked for all gets what waits in the order it came; the newest must not run ahead of it.
    const mayTell = !relation.hasMore && (!relation.all || isDrained());
    // That there was no value is no proof of having heard so: one may have come and gone since that was written down.
    const isNews = channel.value === undefined || channel.value.seq !== relation.told;
    if (mayTell && isNews) {
      relation.seq = Math.max(relation.seq, channel.valueSeq);
      speaker.offer(relation, channels.present(channel));
    }
    speaker.step(relation, { on: "opened", more: relation.hasMore });
  };
  const openAll = async (): Promise<void> => {
    for (const [channel, relations] of waiting) {
      // Where the store does not answer, what comes from now on is still told.
      await channels.load(channel).catch(() => undefined);
      for (const relation of relations) if (relation.state.is === "opening") open(channel, relation);
    }
    waiting.clear();
  };
  return {
    count: past.length,
    begin(messaging) {
      for (const relation of [...waiting.values()].flat()) {
        relation.remote = messaging.remote(relation.remoteKey);
        if (relation.remote === undefined) book.end(relation, "unreachable");
      }
      void openAll();
    },
  };
}
