import type { Principal } from "@nomq/core";
import type { Scope } from "../access/index.ts";
import type { ApiError } from "./failure.ts";

/** In whose name a request acts, and what it may ask for. */
export interface Caller {
  readonly principal: Principal;
  readonly scopes: readonly Scope[];
  /** False once the account is withdrawn or its scopes are others. Absent: it lasts as long as its connection. */
  isCurrent?(): boolean;
}

/** A request that is not looked at: nobody we know (401), not from there (403), too soon (429). */
export interface TurnedAway {
  readonly turned: 401 | 403 | 429;
  readonly error: ApiError;
  /** When to try again. */
  readonly afterMs?: number;
}

/** Whoever holds every scope: the owner of the control socket, and programs on this machine without `access`. */
export const ALL_SCOPES: readonly Scope[] = ["publish", "subscribe", "admin"];
