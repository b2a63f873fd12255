import type { Batch, Opened, Qos, Store, Write } from "@nomq/core";
import { collected, interestWrite, messageWrite, type Prng, storedMessage } from "@nomq/core/testing";

const NAMES = ["one", "two", "three"];
const CHANNELS = ["a", "a/b", "b", "𝄞", "～"];
const END = ["delivered", "expired", "dropped", "refused", "uncertain"] as const;

/** Draws batches; the same numbers for both stores. */
export function drawBatch(prng: Prng, next: () => number): Batch {
  const pick = <T>(from: readonly T[]): T => {
    const found = from[prng.between(0, from.length - 1)];
    if (found === undefined) throw new Error("nothing to pick from");
    return found;
  };
  const offers: Write[] = [];
  const facts: Write[] = [];
  for (let left = prng.between(0, 6); left > 0; left -= 1) {
    const kind = prng.between(0, 9);
    const to = NAMES.filter(() => prng.chance(0.5));
    const payload = prng.chance(0.3) ? new Uint8Array() : new Uint8Array(prng.between(1, 40));
    const given = { channel: pick(CHANNELS), qos: pick<Qos>([1, 2]), retain: prng.chance(0.4), payload };
    if (kind < 6)
      offers.push(messageWrite(storedMessage(next(), given), to, prng.chance(0.3) ? pick(NAMES) : undefined));
    else if (kind === 6) offers.push(interestWrite(pick(NAMES), [pick(CHANNELS)]));
    else
      offers.push({
        write: "open",
        name: pick(NAMES),
        seq: next() - prng.between(1, 9),
        attempt: prng.between(1, 3),
      });
  }
  for (let left = prng.between(0, 8); left > 0; left -= 1) {
    const seq = next() - prng.between(1, 15);
    const reason = prng.chance(0.5) ? { reason: pick(NAMES) } : {};
    facts.push({ write: "outcome", name: pick(NAMES), seq, is: pick(END), at: seq, ...reason });
  }
  if (prng.chance(0.1)) facts.push({ write: "forget", name: pick(NAMES), at: 1 });
  if (prng.chance(0.2)) facts.push({ write: "release", once: pick(NAMES) });
  if (prng.chance(0.3))
    facts.push({ write: "count", name: pick([...NAMES, "other"]), add: { accepted: 1, refused: 1 } });
  const state = prng.chance(0.7) ? { value: new Uint8Array(prng.between(0, 3)) } : {};
  facts.push({ write: "state", owner: pick(NAMES), key: new Uint8Array([prng.between(0, 3)]), ...state });
  return { offers, facts };
}

const byName = <T extends { readonly name: string }>(all: readonly T[]): T[] =>
  all.toSorted((one, other) => (one.name < other.name ? -1 : 1));

/** All that a store can be asked for, in an order of its own. */
export async function contents(store: Store, upTo: number): Promise<unknown> {
  const rows = [];
  for (const name of NAMES) rows.push(await store.waiting(name, 0, 1_000));
  const receipts = [];
  for (let seq = upTo - 40; seq <= upTo; seq += 1) receipts.push(await store.receipt(storedMessage(seq).id));
  const channels = [];
  for (const channel of CHANNELS)
    channels.push([await store.latest(channel), await collected(store.history(channel, {}))]);
  const states = [];
  for (const owner of NAMES) {
    const all = await collected(store.state(owner));
    states.push(all.map(([key, value]) => `${key}=${value}`).sort());
  }
  const retained = await store.retained(["#"], { limit: 100, tombstones: true });
  return {
    rows,
    receipts,
    channels,
    states,
    retained: retained.map(({ seq, payload }) => [seq, payload.length]),
  };
}

export const opened = ({ attachments, once, rows = [] }: Opened): unknown => ({
  attachments: byName(attachments),
  once: Object.fromEntries(once),
  rows: Object.fromEntries(rows),
});
