import type { ItemProperties } from "../payload/item.ts";

/** What is left of an item's time. */
export type Lifetime =
  | { readonly is: "endless" }
  | { readonly is: "left"; readonly ms: number }
  | { readonly is: "over" };

/**
 * What is left of it now. The sender's `exp` counts time on the way, its `ttl` does not depend on its clock: the lesser
 * one holds. `stamp`: when the server had it, where it says so.
 */
export function lifetimeOf(
  { ttlMs, expiresAt }: Pick<ItemProperties, "ttlMs" | "expiresAt">,
  { now, stamp }: { readonly now: number; readonly stamp?: number | undefined },
): Lifetime {
  if (ttlMs === undefined && expiresAt === undefined) return { is: "endless" };
  const age = stamp === undefined ? 0 : Math.max(0, now - stamp);
  const ms = Math.min(
    (ttlMs ?? Number.POSITIVE_INFINITY) - age,
    (expiresAt ?? Number.POSITIVE_INFINITY) - now,
  );
  return ms > 0 ? { is: "left", ms } : { is: "over" };
}
