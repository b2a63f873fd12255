import { setTimeout as pass } from "node:timers/promises";
import { expect, test } from "vitest";
import { readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import { describeWithPeers } from "../peers.ts";
import type { Book, Letter } from "../trust/book.ts";
import { unbalanced } from "../trust/checks.ts";
import { openDwindling } from "../trust/dwindling.ts";
import { draws, isLong, seedsOf } from "../trust/seed.ts";
import { cause } from "./fault-causes.ts";
import { DOWN, type FaultStage, type Health, openFaultStage, UP, until } from "./fault-stage.ts";

/** Different faults, and for how long they go on. */
const FAULTS = isLong ? { least: Number.POSITIVE_INFINITY, forMs: 30_000 } : { least: 5, forMs: 0 };
/** Messages on each channel: of four each way, at least 500. */
const LEAST = isLong ? 125 : 15;
/** Less than a node keeps: outages beyond its history are another test's. */
const MOST = 160;
const PACE_MS = isLong ? 300 : 80;
/** A message is not sent before the fourth before it has been answered; over NoMQ, which keeps no order among those under way, before the last. */
const windowOf = (channel: string): number => (channel.includes("nomq") ? 1 : 4);

/** Milliseconds in which nothing more arrives: a server on a busy machine writes slowly, but it writes. */
const PATIENCE_MS = 60_000;

/** Who gets what: at the XMPP server, over NoMQ and over MQTT. */
const RECEIVERS = { bob: UP, node: DOWN, sub5: DOWN } as const;

const senderOf = (channel: string): string =>
  channel.startsWith("down/") ? "alice" : channel.includes("nomq") ? "node" : "pub5";

/** Publishes on a channel until it is over; resolves when all is answered. */
async function publishOn(stage: FaultStage, channel: string, isOver: () => boolean): Promise<void> {
  const letter: Letter = { party: senderOf(channel), channel, qos: channel.endsWith("2") ? 2 : 1 };
  const open: Promise<void>[] = [];
  for (let count = 0; count < MOST && (count < LEAST || !isOver()); count += 1) {
    open.push(stage.publish(stage.book.send(letter)));
    if (open.length >= windowOf(channel)) await open.shift();
    await pass(PACE_MS);
  }
  await Promise.all(open);
}

const sentOn = (book: Book, channel: string): readonly string[] =>
  book.sent.filter((one) => one.channel === channel).map(({ id }) => id);

/** What has not arrived. */
const lacking = (book: Book): readonly string[] =>
  Object.entries(RECEIVERS).flatMap(([party, channels]) =>
    channels.flatMap((channel) =>
      sentOn(book, channel)
        .filter((id) => !book.copies(party).has(id))
        .map((id) => `${party}: ${id}`),
    ),
  );

/** Resolves when it is none; rejects when it has not become less for a long time. */
async function dwindled(book: Book, left: () => number, missing: () => string): Promise<void> {
  const open = openDwindling();
  await book.until(() => open.note(left()) === 0, { missing, within: PATIENCE_MS, since: () => open.lessAt });
}

/** Publishes everywhere while things go wrong; resolves when all of it has arrived, with what went wrong. */
async function goThrough(stage: FaultStage, seed: number): Promise<readonly string[]> {
  const { book } = stage;
  const caused: string[] = [];
  let isOver = false;
  const published = Promise.all([...UP, ...DOWN].map((channel) => publishOn(stage, channel, () => isOver)));
  published.catch((error: unknown) => book.fail(new Error("a publisher failed", { cause: error })));
  const how = { random: draws(seed, "faults"), ...FAULTS, long: isLong };
  await cause(stage, { ...how, say: (text) => caused.push(text) });
  isOver = true;
  const unacked = (): number => book.sent.filter(({ is }) => is !== "acked").length;
  await dwindled(book, unacked, () => `${unacked()} acknowledgements after ${caused.join(", ")}`);
  await published;
  const missing = (): string => `${lacking(book).slice(0, 20).join("; ")} after ${caused.join(", ")}`;
  await dwindled(book, () => lacking(book).length, missing);
  return caused;
}

/** First arrivals by channel, as a program sees them that knows repeats by their text. */
function firstArrivals(book: Book, party: string): Readonly<Record<string, readonly string[]>> {
  const channels: Record<string, string[]> = {};
  const seen = new Set<string>();
  for (const { id, channel } of book.got(party)) {
    if (seen.has(id)) continue;
    seen.add(id);
    const list = channels[channel] ?? [];
    channels[channel] = list;
    list.push(id);
  }
  return channels;
}

const byChannel = (book: Book, channels: readonly string[]): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(channels.map((channel) => [channel, sentOn(book, channel)]));

/** The texts of what a node keeps. */
async function keptOn({ bob }: FaultStage, node: string): Promise<readonly string[]> {
  return (await bob.items(node)).map(({ payload }) =>
    Buffer.from((payload && readItem(payload)?.payload) ?? []).toString(),
  );
}

const isWell = ({ state, reason = "" }: Health["bridges"][string] = { state: "absent" }): boolean =>
  state === "ready" || reason.startsWith("rate-limited");

describeWithPeers("XMPP with faults", ["prosody", "openssl"], () => {
  test.each(seedsOf([1]))(
    "through cuts, stalls, silence, resets, refusals, and a server and a gateway that die, nothing is lost, doubled or out of order (seed %i)",
    // With twice as much to do as it has processors, a machine needs more than a minute for what else takes ten seconds.
    { timeout: isLong ? 900_000 : 240_000 },
    async (seed) => {
      await using stage = await openFaultStage(seed);
      const { book, ground } = stage;
      try {
        const caused = await goThrough(stage, seed);
        expect(caused.length).toBeGreaterThanOrEqual(isLong ? 13 : 5);
        for (const channels of [UP, DOWN])
          expect(channels.flatMap((channel) => sentOn(book, channel)).length).toBeGreaterThanOrEqual(
            4 * LEAST,
          );

        for (const [party, channels] of Object.entries(RECEIVERS)) {
          expect(firstArrivals(book, party)).toEqual(byChannel(book, channels));
          const twice = [...book.copies(party)].filter(
            ([id, copies]) => copies > 1 && book.find(id)?.qos === 2,
          );
          expect(twice).toEqual([]);
        }
        for (const channel of UP)
          expect([...new Set(await keptOn(stage, channel))]).toEqual(sentOn(book, channel));

        // A busy machine may be taken for a server with a limited rate.
        await until(async () => isWell((await stage.health()).bridges["xmpp"]));
        const { publishing, receiving, messagesRefused, link } = (await stage.health()).xmpp;
        expect({ refused: publishing.refused, messagesRefused }).toEqual({
          refused: {},
          messagesRefused: {},
        });
        expect(receiving).toMatchObject({ gaps: 0, malformed: 0, overflowed: 0, refused: {} });
        expect(link).toMatchObject({ poisoned: 0 });
        expect(await stage.metrics()).toContain("\nnomq_xmpp_gaps_total 0\n");
        const rows = await ground.attachments();
        expect(unbalanced(rows)).toEqual([]);
        const out = rows.find(({ name }) => name === "xmpp:pubsub.localhost")?.ledger;
        expect(out).toMatchObject({ pending: 0, expired: 0, refused: 0, uncertain: 0, dropped: {} });
        expect(ground.log()).not.toContain("gwpw");
        await ground.stop();
      } catch (error) {
        throw new Error(`NOMQ_SEED=${seed}; log and data: ${ground.keep()}`, { cause: error });
      }
    },
  );

  test("what an outage pushed out of a node's history is missing, and the gap is counted and shown", async () => {
    const history = 5;
    await using stage = await openFaultStage(1, { history });
    const { alice, book, ground, health, link, metrics, prosody } = stage;
    const [channel = ""] = DOWN;
    const publish = async (): Promise<string> => {
      const sent = book.send({ party: "alice", channel, qos: 2 });
      await alice.publish(sent);
      return sent.id;
    };
    const arrived = (id: string): Promise<void> =>
      book.until(() => ["sub5", "node"].every((party) => book.copies(party).has(id)), { missing: () => id });
    const seen = await publish();
    await arrived(seen);
    link.fault("refuse");
    await until(async () => (await health()).bridges["xmpp"]?.state === "reconnecting");
    // The server forgets the session, so that nothing waits there for its resumption.
    await prosody.end();
    await prosody.start();
    const missed: string[] = [];
    for (let count = 0; count < 20; count += 1) missed.push(await publish());
    expect(await metrics()).toContain("\nnomq_xmpp_gaps_total 0\n");
    link.heal();
    await arrived(missed.at(-1) ?? "");
    for (const party of ["sub5", "node"])
      expect(book.got(party).map(({ id }) => id)).toEqual([seen, ...missed.slice(-history)]);
    expect((await health()).xmpp.receiving).toMatchObject({ gaps: 1, caughtUp: history });
    expect(await metrics()).toContain("\nnomq_xmpp_gaps_total 1\n");
    expect(ground.log().match(/items of an XMPP node are missing.*"node":"down\/a1"/g)).toHaveLength(1);
    // What comes next is no gap.
    const next = await publish();
    await arrived(next);
    expect((await health()).xmpp.receiving).toMatchObject({ gaps: 1 });
  });
});
