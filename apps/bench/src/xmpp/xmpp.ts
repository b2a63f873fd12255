import { requestsTo } from "../../../../packages/xmpp-bridge/src/nodes/pubsub-request.ts";
import { itemPayload } from "../../../../packages/xmpp-bridge/src/payload/item.ts";
import { startProsody } from "../../../../test/real/prosody.ts";
import { type Loop, runClosedLoop } from "../closed-loop.ts";
import { median } from "../ratio.ts";
import { openBareClient } from "./bare-client.ts";
import { type Subject, startSubject } from "./subject.ts";

/** Short and many: on a machine that does something else too, the middle of many ratios says more than a few long ones. */
const ROUNDS = 25;
const READER_ROUNDS = 9;
const PER_ROUND = 400;
const WINDOWS = [1, 8, 32] as const;
const NODE = "bench/events";
const PUBSUB = "pubsub.localhost";
/** Part of the bare loop's rate, at least. */
const TARGET = 0.9;
const PAYLOAD = Buffer.alloc(64, "x");

/** What one comparison gave. */
interface Compared {
  readonly name: string;
  readonly target?: number;
  readonly rounds: number;
  readonly subject: () => Promise<Measured>;
  readonly bare: () => Promise<Measured>;
}

/** Publishes and notifications a second, and what each costs this process, against a bare loop that writes the same stanzas to the same server. */
export async function benchXmpp(): Promise<boolean> {
  await using prosody = await startProsody({ memory: true });
  await using publisher = await startSubject(
    prosody.service,
    { publish: ["bench/#"] },
    { channel: NODE, payload: PAYLOAD },
  );
  // Makes the node as the bridge wants it, for both.
  await runClosedLoop(publisher.publishing, { from: 0, to: 1 });
  await using bare = await openBareClient(prosody.port, "bare");
  const writing = bare.publishing(stanzas());
  const comparisons = WINDOWS.map(
    (window): Compared => ({
      ...{ name: `publishes, window ${window}`, rounds: ROUNDS },
      ...(window === 32 ? { target: TARGET } : {}),
      subject: () => measured(() => runClosedLoop(publisher.publishing, { from: 0, to: PER_ROUND, window })),
      bare: () => measured(() => runClosedLoop(writing, { from: 0, to: PER_ROUND, window })),
    }),
  );
  let isWell = true;
  for (const comparison of comparisons) isWell = (await compare(comparison)) && isWell;
  return (await compareReaders(prosody, writing)) && isWell;
}

/** One reader at a time: each notification costs the server too. */
async function compareReaders(
  { service, port }: { readonly service: string; readonly port: number },
  writing: Loop,
): Promise<boolean> {
  const name = "notifications";
  const target = TARGET;
  const reading = async (onItems: (tell: (count: number) => void) => void): Promise<number> => {
    let left = PER_ROUND;
    const begun = performance.now();
    const all = new Promise<void>((resolve) => {
      onItems((count) => {
        left -= count;
        if (left <= 0) resolve();
      });
    });
    await Promise.all([all, runClosedLoop(writing, { from: 0, to: PER_ROUND, window: 32 })]);
    return (PER_ROUND / (performance.now() - begun)) * 1_000;
  };
  const bridgeReader = async (): Promise<Measured> => {
    await using it: Subject = await startSubject(
      service,
      { subscribe: ["bench/#"] },
      { channel: NODE, payload: PAYLOAD },
    );
    return await measured(() => reading(it.onMessages));
  };
  const subject = async (): Promise<Measured> => {
    const rate = await bridgeReader();
    await endSubscriptions(port);
    return rate;
  };
  const bareReader = async (): Promise<Measured> => {
    await using it = await openBareClient(port, "reader");
    await it.ask(subscription("subscribe", it.jid));
    const rate = await measured(() => reading(it.onItems));
    await it.ask(subscription("unsubscribe", it.jid));
    return rate;
  };
  return await compare({ name, target, rounds: READER_ROUNDS, subject, bare: bareReader });
}

/** What is for a reader that has gone, the server hands to all others of its account: each round would have more of it. */
async function endSubscriptions(port: number): Promise<void> {
  await using it = await openBareClient(port, "sweeper");
  const asked = `<iq type='get' to='${PUBSUB}' id='all'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscriptions/></pubsub></iq>`;
  const listed = await it.ask(asked);
  for (const [, jid = ""] of listed.matchAll(/<subscription [^>]*jid='([^']+)'/g)) {
    await it.ask(subscription("unsubscribe", jid));
  }
}

interface Measured {
  readonly rate: number;
  /** Of this process, microseconds for each. */
  readonly processor: number;
}

async function measured(run: () => Promise<number>): Promise<Measured> {
  const before = process.cpuUsage();
  const rate = await run();
  const { user, system } = process.cpuUsage(before);
  return { rate, processor: (user + system) / PER_ROUND };
}

async function compare({ name, target, rounds: count, subject, bare }: Compared): Promise<boolean> {
  await subject();
  await bare();
  const rounds: { readonly subject: Measured; readonly bare: Measured }[] = [];
  for (let round = 0; round < count; round += 1) {
    // Each goes first in half of the rounds.
    if (round % 2 === 0) rounds.push({ subject: await subject(), bare: await bare() });
    else rounds.push({ bare: await bare(), subject: await subject() });
  }
  const middle = (value: (round: { subject: Measured; bare: Measured }) => number): number =>
    median(rounds.map(value));
  const ratio = middle((round) => round.subject.rate / round.bare.rate);
  const isWell = target === undefined || ratio >= target;
  const verdict = target === undefined ? "no target" : `target ≥ ${target}×: ${isWell ? "ok" : "MISSED"}`;
  const processor = (of: "subject" | "bare"): string => middle((round) => round[of].processor).toFixed(0);
  console.log(
    `${name.padEnd(24)} ${Math.round(middle((round) => round.subject.rate))}/s, ` +
      `${ratio.toFixed(2)}× of a bare loop (${Math.round(middle((round) => round.bare.rate))}/s), ` +
      `processor time here ${processor("subject")} and ${processor("bare")} µs each; ${verdict}`,
  );
  return isWell;
}

/** As long as the bridge's own. */
const GATEWAY = "0123456789abcdef";
const IQ_ID = "000000000000";

/** The stanzas that the bridge writes, with ids of their own. */
function stanzas(): () => string {
  let made = 0;
  const draft = { channel: NODE, payload: PAYLOAD, qos: 1, retain: false, priority: 0 } as const;
  return () => {
    made += 1;
    const id = made.toString(16).padStart(32, "0");
    const message = { ...draft, id, seq: made, publishedAt: 0, origin: "bench" };
    const payload = itemPayload(message, { gateway: GATEWAY });
    if (payload === "too-large") throw new Error(payload);
    const iq = requestsTo(PUBSUB).publish(NODE, id, payload);
    iq.attrs["id"] = `${IQ_ID}${made.toString(36)}`;
    return iq.toString();
  };
}

const subscription = (verb: "subscribe" | "unsubscribe", jid: string): string =>
  `<iq type='set' to='${PUBSUB}' id='${verb}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>` +
  `<${verb} node='${NODE}' jid='${jid}'/></pubsub></iq>`;
