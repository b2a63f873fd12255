import type { Core } from "./core.ts";

/** Ends, after every change of the rules, what waits for peers that may no longer have it; answers how to stop. */
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

/** Open calls go on, as their messages have left; rows not read yet are asked for when their turn comes. */
async function sweep(core: Core, goesOn: () => boolean): Promise<void> {
  for (const place of [...core.places.values()]) {
    for (const entry of [...place.outbox.entries()]) {
      if (core.turn.spent()) await core.turn.next();
      if (!goesOn()) return;
      if (entry.state !== "waiting" || core.engine.mayGet(place, entry.message.channel)) continue;
      core.engine.finish(place, entry, { is: "refused", reason: "access" });
    }
    core.engine.pump(place);
  }
}
