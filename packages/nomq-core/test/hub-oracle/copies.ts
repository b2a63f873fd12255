import { numberIn } from "./calls.ts";
import { naiveMatch } from "./naive-match.ts";
import type { World } from "./world.ts";

/** Every copy of the retained state equals the hub's. */
export function checkCopies(world: World, state: ReadonlyMap<string, string>): void {
  for (const peer of world.peers) {
    const own = world.model.interest.get(peer.options.name);
    if (peer.options.retained !== "deliver" || peer.state !== "here" || own === undefined) continue;
    const channels = new Set([...state.keys(), ...peer.toy.copy.keys()]);
    for (const channel of channels) {
      if (peer.unsure.has(channel) || ![...own.filters].some((filter) => naiveMatch(filter, channel)))
        continue;
      const held = peer.toy.copy.get(channel);
      const truth = state.get(channel) ?? "";
      const value = held === undefined ? "" : `${numberIn(held)}`;
      const hasExpired = held?.expiresAt !== undefined && truth === "";
      if (value !== truth && !hasExpired) {
        world.problems.push(`${peer.options.name} holds "${value}" for ${channel}, the hub "${truth}"`);
      }
    }
  }
}
