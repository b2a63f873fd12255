import type { NodeConfig } from "./config-form.ts";
import { titleOfChannel } from "./node-name.ts";
import type { Keeping } from "./nodes.ts";
import type { Affiliation } from "./pubsub-request.ts";

/** Who may read and write our nodes, beside ourselves. Bare JIDs. */
export interface NodeAccess {
  /** Given: nobody else may subscribe (`whitelist`). Absent: who can reach the service may (`open`). */
  readonly members?: readonly string[];
  /** May publish. Never `open`: both servers let even outcasts publish there. */
  readonly publishers?: readonly string[];
}

/** What a node is for. */
export interface NodeWish {
  readonly keeping: Keeping;
  readonly history: number;
  readonly access: NodeAccess;
  /** The server tells of a retraction with `notify` whatever the node's configuration (ejabberd). Default false. */
  readonly forcesRetracts?: boolean;
}

/** The configuration that a node must have, everything said: defaults differ by server and by administrator. */
export function wantedConfig(
  channel: string,
  { keeping, history, access, forcesRetracts = false }: NodeWish,
): NodeConfig {
  const title = titleOfChannel(channel);
  return {
    ...(title === undefined ? {} : { title }),
    persist_items: "1",
    // The state is one of them.
    max_items: keeping === "state" ? "1" : String(history + 1),
    send_last_published_item: "on_sub",
    access_model: access.members === undefined ? "open" : "whitelist",
    publish_model: "publishers",
    // ejabberd then says in each item who published it; Prosody does so by its own configuration or not at all.
    ...((access.publishers ?? []).length === 0 ? {} : { itemreply: "publisher" }),
    deliver_notifications: "1",
    deliver_payloads: "1",
    // Off by default on ejabberd: subscribers would never learn that the node went.
    notify_delete: "1",
    // With it ejabberd tells of each item that the next pushes out, too; without, Prosody tells of none at all.
    notify_retract: forcesRetracts ? "0" : "1",
    // Servers keep no headline for who is away.
    notification_type: keeping === "state" ? "headline" : "normal",
  };
}

/** Without these a node is not what it is for; the others are said and lived with. */
export const ESSENTIAL: ReadonlySet<string> = new Set([
  "access_model",
  "persist_items",
  "publish_model",
  "title",
]);

/** The affiliations that a node needs for that. */
export function wantedAffiliations({ members = [], publishers = [] }: NodeAccess): Affiliation[] {
  const writers = new Set(publishers);
  return [
    ...[...writers].map((jid) => ({ jid, affiliation: "publisher" as const })),
    ...members.filter((jid) => !writers.has(jid)).map((jid) => ({ jid, affiliation: "member" as const })),
  ];
}
