/**
 * Whether some channel matches both filters (MQTT 5.0 section 4.7.1). Tells a subscription that can never get a
 * message from one of which some channels are allowed.
 */
export function filtersOverlap(one: string, other: string): boolean {
  return overlap(one.split("/"), other.split("/"));
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
  const wider = wide.split("/");
  const narrower = narrow.split("/");
  for (let at = 0; ; at += 1) {
    const mine = wider[at];
    const theirs = narrower[at];
    if (mine === "#") return true;
    if (mine === undefined) return theirs === undefined;
    if (theirs === undefined || theirs === "#") return false;
    if (mine !== "+" && (theirs === "+" || mine !== theirs)) return false;
  }
}
