import { type Attachment, createHub, type Hub, type LedgerRow, type Outcome, type Port } from "@nomq/core";
import { createFaultyStore, createPrng, type FaultyStore, type Prng } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { leftBy, makeStore, testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const SEED = Number(process.env["NOMQ_SEED"] ?? 7);
const [RUNS, STEPS] = isLong ? [40, 120] : [4, 60];

const ended = ({ delivered, expired, refused, uncertain, dropped }: LedgerRow): number =>
  delivered + expired + refused + uncertain + Object.values(dropped).reduce((sum, by) => sum + by, 0);

const turns = async (count: number): Promise<void> => {
  for (let at = 0; at < count; at += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A peer that answers as it likes, late or not at all. */
function outcomeOf(prng: Prng, qos: number): Outcome {
  const dice = prng.between(1, 10);
  if (dice <= 5) return { is: "delivered" };
  if (dice <= 7) return { is: "refused", reason: "not today" };
  if (dice === 8 && qos === 2) return { is: "uncertain", reason: "lost" };
  return { is: "retry", reason: "again", afterMs: prng.between(0, 3) };
}

interface Place {
  readonly name: string;
  readonly durable: boolean;
  readonly whenFull: "drop-oldest" | "drop-newest" | "refuse";
}

const PLACES: readonly Place[] = [
  { name: "wide", durable: true, whenFull: "drop-oldest" },
  { name: "small", durable: true, whenFull: "drop-newest" },
  { name: "strict", durable: true, whenFull: "refuse" },
  { name: "brief", durable: false, whenFull: "drop-oldest" },
];

async function attachAll(port: Port, prng: Prng): Promise<Attachment[]> {
  return await Promise.all(
    PLACES.map(({ name, durable, whenFull }) =>
      port.attach({
        ...{ name, durable, as: "*", filters: ["#"], window: 4, retained: "deliver" },
        outbox: { messages: name === "wide" ? 1_000 : 6, bytes: 1_000_000, whenFull },
        deliver: async ({ qos }, { signal }) => {
          await turns(prng.between(0, 20));
          return signal.aborted ? { is: "retry", reason: "over" } : outcomeOf(prng, qos);
        },
      }),
    ),
  );
}

/** Whatever the store does: at every instant the rows balance. */
function balance(hub: Hub): void {
  for (const { name, ledger } of hub.attachments()) {
    expect(`${name} ${ledger.accepted}`).toBe(`${name} ${ended(ledger) + ledger.pending}`);
  }
}

function publishSome(port: Port, prng: Prng, lowestQos: number): void {
  for (let left = prng.between(1, 8); left > 0; left -= 1) {
    // Between the bounds there is nothing else.
    const qos = prng.between(lowestQos, 2) as 0 | 1 | 2;
    const retain = prng.chance(0.2);
    const ttl = prng.chance(0.2) ? { ttlMs: prng.between(1, 30) } : {};
    const draft = { channel: `c/${prng.between(0, 3)}`, payload: Buffer.from("x"), qos, retain, ...ttl };
    void port.publish(draft, "anonymous");
  }
}

function disturb(store: FaultyStore, prng: Prng): void {
  const dice = prng.between(1, 12);
  if (dice === 1) store.hang();
  else if (dice === 2) store.fail();
  else if (dice < 8) store.heal();
}

/** Traffic with a store that hangs and fails; the folder as a kill leaves it at its end. */
async function run(folder: string, prng: Prng, lowestQos: number) {
  const store = createFaultyStore(makeStore(folder));
  await using hub = createHub({ store, limits: { held: 8 } });
  await hub.start();
  balance(hub);
  const port = hub.port("test");
  const attached = await attachAll(port, prng);
  for (let step = 0; step < STEPS; step += 1) {
    disturb(store, prng);
    publishSome(port, prng, lowestQos);
    const one = attached[prng.between(0, attached.length - 1)];
    if (prng.chance(0.3)) one?.pause("away");
    else one?.resume();
    await turns(prng.between(0, 12));
    balance(hub);
  }
  store.heal();
  await turns(prng.between(0, 40));
  const left = await leftBy(folder);
  for (const each of attached) each.resume();
  return left;
}

test.each([
  [1, "QoS 1 and 2: durable rows and the messages found balance exactly"],
  [0, "every QoS: what is missing is at most what had no row"],
])("over restarts, lowest QoS %i: %s", { timeout: 300_000 }, async (lowestQos) => {
  for (let number = 0; number < RUNS; number += 1) {
    const prng = createPrng(SEED * 1_000 + number);
    await using first = await testFolder();
    // Twice: the second run goes on with what the first one left.
    await using second = await run(first.path, prng, lowestQos);
    await using third = await run(second.path, prng, lowestQos);
    await using found = makeStore(third.path);
    const { attachments } = await found.open();
    expect(attachments.map(({ name }) => name).sort()).toEqual(["small", "strict", "wide"]);
    for (const { name, row, waiting } of attachments) {
      const rows = await found.waiting(name, 0, 10_000);
      expect([name, rows.length]).toEqual([name, waiting]);
      const missing = row.accepted - ended(row) - waiting;
      if (lowestQos > 0) expect([name, missing, row.dropped["restart"]]).toEqual([name, 0, undefined]);
      else expect(missing).toBeGreaterThanOrEqual(0);
    }
  }
});
