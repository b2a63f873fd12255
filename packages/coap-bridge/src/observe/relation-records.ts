import { addressText, type SessionLog } from "@nomq/core";
import type { Relation } from "./relation.ts";

/** What the session log hears of observers. */
export interface RelationRecords {
  began(relation: Relation): void;
  /** Nothing is said of one that never began, or that the same client registers again. */
  ended(relation: Relation, reason: string): void;
}

/** Makes the records over the given log. */
export function createRelationRecords(log: SessionLog): RelationRecords {
  const detailsOf = ({ remote, remoteKey, channel, confirmable }: Relation) => ({
    // Before listeners are open there is only what was written down.
    address: remote === undefined ? remoteKey : addressText(remote),
    filter: channel.name,
    qos: confirmable ? 1 : 0,
  });
  return {
    began(relation) {
      if (relation.isRecorded) return;
      relation.isRecorded = true;
      log.record({ who: relation.as, what: "subscription.added", details: detailsOf(relation) });
    },
    ended(relation, reason) {
      if (!relation.isRecorded) return;
      relation.isRecorded = false;
      const details = { ...detailsOf(relation), reason };
      log.record({ who: relation.as, what: "subscription.removed", details });
    },
  };
}
