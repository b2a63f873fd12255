import { allowAll } from "../principal.ts";
import type { Core } from "./core.ts";
import type { Place } from "./place.ts";

/** Ends, after every change of the rules, what is on its way to peers that may no longer have it; answers how to stop. */
export function followAccess(core: Core): () => void {
  const { access } = core;
  if (access.onChange === undefined) return () => undefined;
  let changes = 0;
  let isOver = false;
  const unfollow = access.onChange(() => {
    changes += 1;
    const mine = changes;
    void sweep(core, () => !isOver && mine === changes);
  });
  return () => {
    isOver = true;
    unfollow();
  };
}

/** Whether a right of this attachment may go while its calls are open. */
export function isWithdrawable({ access }: Core, place: Place): boolean {
  return access !== allowAll && access.onChange !== undefined && place.as !== "*";
}

/** Rows not read yet are asked for when their turn comes. */
async function sweep(core: Core, goesOn: () => boolean): Promise<void> {
  for (const place of [...core.places.values()]) {
    for (const entry of [...place.outbox.entries()]) {
      if (core.turn.spent()) await core.turn.next();
      if (!goesOn()) return;
      if (entry.state === "done" || core.engine.mayGet(place, entry.message.channel)) continue;
      if (entry.state === "waiting") core.engine.finish(place, entry, { is: "refused", reason: "access" });
      // A peer that cannot be reached would be tried again and again, and get it on its return.
      else if (entry.state === "open") entry.withdraw?.abort();
    }
    core.engine.pump(place);
  }
}
