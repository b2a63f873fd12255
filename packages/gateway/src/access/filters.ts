/**
 * Whether some channel matches both filters (MQTT 5.0 section 4.7.1). Tells a subscription that can never get a
 * message from one of which some channels are allowed.
 */
export function filtersOverlap(one: string, other: string): boolean {
  return overlap(levelsOf(one), levelsOf(other));
}

/**
 * A filter's levels, of several ways to write it always the same: `+/#` matches what `#` does, for it counts the level
 * above it in, and `/#` what `/+/#` does, for the level above it is the empty name there, which is no channel's.
 */
function levelsOf(filter: string): readonly string[] {
  if (filter === "+/#") return ["#"];
  return (filter === "/#" ? "/+/#" : filter).split("/");
}

function overlap(one: readonly string[], other: readonly string[]): boolean {
  for (let at = 0; ; at += 1) {
    const mine = one[at];
    const theirs = other[at];
    // `a/#` covers `a` as well.
    if (mine === "#" || theirs === "#") return true;
    if (mine === undefined || theirs === undefined) return mine === theirs;
    if (mine !== "+" && theirs !== "+" && mine !== theirs) return false;
  }
}

/** Whether the first filter matches every channel that the second matches. */
export function filterCovers(wide: string, narrow: string): boolean {
  const wider = levelsOf(wide);
  const narrower = levelsOf(narrow);
  for (let at = 0; ; at += 1) {
    const mine = wider[at];
    const theirs = narrower[at];
    if (mine === "#") return true;
    if (mine === undefined) return theirs === undefined;
    if (theirs === undefined || theirs === "#") return false;
    if (mine !== "+" && (theirs === "+" || mine !== theirs)) return false;
  }
}
