/**
 * Who acts: every publish, subscription and delivery is asked for in the name of one. `*` is a part of the program
 * itself that stands for many and asks for each of them: the hub lets it do everything, whatever the rules say.
 */
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

/** How much of a filter somebody may read: every channel under it, some, or none. */
export type Extent = "all" | "some" | "none";

/** One set of rules for every protocol. Synchronous: it is asked at every delivery. */
export interface Access {
  may(who: Principal, action: Action, channel: string): boolean;
  /** A subscription to a filter; `some` may be granted, as every delivery is asked for again. Absent: see {@link extentOf}. */
  extent?(who: Principal, action: Action, filter: string): Extent;
  /** Calls back after every change, for what must end running subscriptions; answers how to stop that. */
  onChange?(changed: () => void): () => void;
}

/** Allows everything: the default of a hub that is embedded. */
export const allowAll: Access = { may: () => true };

/** The same rules, with everything for `*`. */
export function withProgramItself(access: Access): Access {
  if (access === allowAll) return access;
  const { onChange } = access;
  return {
    may: (who, action, channel) => who === "*" || access.may(who, action, channel),
    extent: (who, action, filter) => (who === "*" ? "all" : extentOf(access, { who, action, filter })),
    ...(onChange === undefined ? {} : { onChange: (changed) => onChange.call(access, changed) }),
  };
}

/** How much of a filter is allowed; without an `extent` of its own, any filter with wildcards may get something. */
export function extentOf(
  access: Access,
  { who, action, filter }: { readonly who: Principal; readonly action: Action; readonly filter: string },
): Extent {
  if (access === allowAll) return "all";
  if (access.extent !== undefined) return access.extent(who, action, filter);
  if (/[+#]/.test(filter)) return "some";
  return access.may(who, action, filter) ? "all" : "none";
}

/** What became of somebody who showed credentials. */
export type Login =
  | {
      readonly is: "accepted";
      readonly principal: Principal;
      /** Whether it still holds: false once the account is gone or its secret is another. Absent: always. */
      isValid?(): boolean;
    }
  | { readonly is: "refused"; readonly reason: string }
  | {
      /** Too many failures, or too many logins under way. */ readonly is: "later";
      readonly afterMs: number;
    };
