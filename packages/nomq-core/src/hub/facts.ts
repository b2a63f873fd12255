import type { Write } from "./store.ts";

/** Facts of one commit, or a few more: ten thousand messages that expire together are ten commits. */
export const BATCH_FACTS = 1_024;

/** Where to cut a long list of facts: an outcome and the states that follow it are one. */
export function cutOf(facts: readonly Write[]): number {
  for (let at = BATCH_FACTS; at < facts.length; at += 1) if (facts[at]?.write === "outcome") return at;
  return facts.length;
}

/** Names a state among all. */
export function stateKey(write: Write & { write: "state" }): string {
  return `${write.owner}\0${Buffer.from(write.key).toString("latin1")}`;
}
