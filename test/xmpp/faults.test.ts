import { setTimeout as pass } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { type FaultyLink, openFaultyLink, seeded } from "../real/faulty-link.ts";
import { publish, publishLines, subscribe } from "../real/mosquitto.ts";
import { type Prosody, startProsody } from "../real/prosody.ts";
import { launchXmppGateway, type XmppGateway } from "../real/xmpp-gateway.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const seed = Number(process.env["NOMQ_SEED"] ?? 1);
const RUN_MS = isLong ? 30_000 : 3_000;
const LEAST_PUBLISHES = isLong ? 500 : 60;
const BETWEEN_PUBLISHES_MS = 40;

const BOTH = { admins: ["gw@localhost", "bob@localhost"] };

type Cause = () => Promise<void>;

/** Everything that may happen to two links and the server behind them. */
function causes(links: readonly FaultyLink[], server: Prosody): readonly Cause[] {
  const lasting = (fault: Parameters<FaultyLink["fault"]>[0], ms: number): Cause[] =>
    links.map((link) => async () => {
      link.fault(fault);
      await pass(ms);
      link.heal();
    });
  const restart = (signal: "SIGTERM" | "SIGKILL"): Cause => {
    return async () => {
      await server.end(signal);
      await pass(100);
      await server.start();
    };
  };
  return [
    ...[...lasting("cut", 0), ...lasting("reset", 0), ...lasting("refuse", 300), ...lasting("stall", 300)],
    ...[restart("SIGTERM"), restart("SIGKILL")],
  ];
}

/** Each of them once in the order that a seed gives, then as chance has it until the time is over. */
async function trouble(every: readonly Cause[], until: number): Promise<number> {
  const random = seeded(seed);
  const first = every.map((cause) => ({ cause, at: random() })).sort((one, other) => one.at - other.at);
  let caused = 0;
  while (Date.now() < until || caused < first.length) {
    await pass(random() * 300);
    const { cause } = first[caused] ?? { cause: every[Math.floor(random() * every.length)] };
    await cause?.();
    caused += 1;
  }
  return caused;
}

/** Nodes are looked for once in a while: one that is there already is found at once. */
async function makeNode({ mqtt, xmpp }: XmppGateway): Promise<void> {
  await publish(mqtt, "up/events", "of old", ["-q", "1"]);
  await expect.poll(async () => (await xmpp.counts()).publishing.taken).toBe(1);
}

describeWithPeers("XMPP with faults", ["prosody", "openssl", "mosquitto-clients"], () => {
  test(`through cuts, stalls, resets, refusals and a server that dies, everything arrives once and in order (seed ${seed})`, async () => {
    await using prosody = await startProsody(BOTH);
    await using near = await openFaultyLink(prosody.port);
    await using far = await openFaultyLink(prosody.port);
    await using from = await launchXmppGateway(prosody, {
      ...{ username: "gw", through: near, publish: ["up/#"] },
    });
    await makeNode(from);
    await using to = await launchXmppGateway(prosody, {
      ...{ username: "bob", through: far, subscribe: ["up/#"] },
    });
    await to.xmpp.subscribed(1);
    await using subscriber = await subscribe(to.mqtt, "up/#", ["-q", "2"]);

    await using publisher = publishLines(from.mqtt, "up/events");
    let isOver = false;
    const sent: string[] = [];
    const publishing = async (): Promise<void> => {
      while (!isOver || sent.length < LEAST_PUBLISHES) {
        const text = `message ${sent.length}`;
        sent.push(text);
        publisher.send(text);
        await pass(BETWEEN_PUBLISHES_MS);
      }
      await publisher.finish();
    };
    const published = publishing();
    const caused = await trouble(causes([near, far], prosody), Date.now() + RUN_MS);
    isOver = true;
    await published;
    await publish(from.mqtt, "up/events", "last", ["-q", "1"]);
    sent.push("last");

    await expect
      .poll(() => subscriber.printed.length, { timeout: isLong ? 120_000 : 40_000 })
      .toBeGreaterThanOrEqual(sent.length);
    expect(subscriber.printed.map(({ text }) => text)).toEqual(sent);
    expect(caused).toBeGreaterThanOrEqual(10);
    const { publishing: counts } = await from.xmpp.counts();
    expect(counts.refused).toEqual({});
    const { receiving, link } = await to.xmpp.counts();
    expect(receiving).toMatchObject({ gaps: 0, published: sent.length });
    expect((link?.sessions ?? 0) + (link?.resumptions ?? 0)).toBeGreaterThan(1);
    await expect.poll(() => from.xmpp.health()).toMatchObject({ state: "ready" });
    await expect.poll(() => to.xmpp.health()).toMatchObject({ state: "ready" });
  });

  test("what an outage pushed out of a node's history is missing, and the gap is counted and shown", async () => {
    await using prosody = await startProsody(BOTH);
    await using far = await openFaultyLink(prosody.port);
    await using from = await launchXmppGateway(prosody, {
      ...{ username: "gw", publish: ["up/#"], history: 5 },
    });
    await makeNode(from);
    await using to = await launchXmppGateway(prosody, {
      ...{ username: "bob", through: far, subscribe: ["up/#"] },
    });
    await to.xmpp.subscribed(1);
    await using subscriber = await subscribe(to.mqtt, "up/#", ["-q", "2"]);
    await publish(from.mqtt, "up/events", "seen", ["-q", "1"]);
    await subscriber.atLeast(1);
    const { link } = await to.xmpp.counts();
    far.fault("refuse");
    await expect.poll(async () => (await to.xmpp.health()).state).toBe("reconnecting");
    // The server forgets the session, so that nothing waits there for its resumption.
    await prosody.end();
    await prosody.start();
    await using publisher = publishLines(from.mqtt, "up/events");
    const missed = Array.from({ length: 20 }, (_, at) => `message ${at}`);
    for (const text of missed) publisher.send(text);
    await publisher.finish();
    await expect.poll(async () => (await from.xmpp.counts()).publishing.taken).toBe(22);
    far.heal();
    await expect.poll(() => subscriber.printed.at(-1)?.text).toBe(missed.at(-1));
    const kept = subscriber.printed.slice(1).map(({ text }) => text);
    // One of the places may be the state's.
    expect(kept.length).toBeGreaterThanOrEqual(5);
    expect(kept).toEqual(missed.slice(-kept.length));
    expect(kept.length).toBeLessThan(10);
    const counts = await to.xmpp.counts();
    expect(counts.receiving).toMatchObject({ gaps: 1 });
    expect(counts.link?.sessions).toBeGreaterThan(link?.sessions ?? 0);
  });
});
