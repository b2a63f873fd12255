/** Who acts: every publish, subscription and delivery is asked for in the name of one. */
export type Principal =
  | `user:${string}`
  | `nomq:${string}`
  | `cert:${string}`
  | `coap:${string}`
  | `jid:${string}`
  | `token:${string}`
  | `addr:${string}`
  | "anonymous"
  | "*";

/** What a principal may want to do with a channel. */
export type Action = "publish" | "subscribe";

/** One set of rules for every protocol. Synchronous: it is asked at every delivery. */
export interface Access {
  may(who: Principal, action: Action, channel: string): boolean;
}

/** Allows everything: the default of a hub that is embedded. */
export const allowAll: Access = { may: () => true };
