import type { Core } from "./core.ts";
import type { Place } from "./place.ts";

let stamp = 0;

/** Who gets a message of the channel, each once: all that match, minus where it came from. */
export function targetsOf(
  core: Core,
  channel: string,
  { source, isQueued }: { readonly source: Place | undefined; readonly isQueued: boolean },
): Place[] {
  stamp += 1;
  const mine = stamp;
  const targets: Place[] = [];
  core.routes.match(channel, (place) => {
    if (place.stamp === mine || place === source || place.goneAs !== undefined) return;
    // An interest not committed yet counts for what stands behind it in the queue.
    if (place.isTentative && !isQueued) return;
    place.stamp = mine;
    if (core.engine.mayGet(place, channel)) targets.push(place);
  });
  return targets;
}

/** Whether the outbox turns publishers away for want of room. */
export function isFull(place: Place, bytes: number): boolean {
  return place.outbox.limits.whenFull === "refuse" && !place.outbox.hasRoom(bytes);
}
