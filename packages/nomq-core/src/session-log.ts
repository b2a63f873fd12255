import type { LogFields } from "./log.ts";
import type { Principal } from "./principal.ts";

/** One fact about who did what: a client came, a login was refused, a right was changed. */
export interface SessionEntry {
  /** Who acts, or a part of the gateway: `user:ann`, `nomq:site`, `anonymous`, `gateway`, `store`. */
  readonly who: Principal | string;
  /** `noun.verb` in lower case: `client.connected`, `login.refused`, `access.changed`, `store.recovered`. */
  readonly what: string;
  /** Never payloads, never secrets. */
  readonly details?: LogFields;
}

/**
 * The record of who, what and when that is always kept, whatever the level of the {@link Log}. The keeper adds the
 * time. Recording never blocks, never throws and is bounded: a flood of equal entries may be kept as one with a count.
 */
export interface SessionLog {
  record(entry: SessionEntry): void;
}

/** Keeps nothing: the default of a hub that is embedded. */
export const silentSessionLog: SessionLog = { record: () => undefined };
