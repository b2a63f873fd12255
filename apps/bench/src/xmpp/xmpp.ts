import { itemPayload } from "../../../../packages/xmpp-bridge/src/payload/item.ts";
import { publishIq } from "../../../../packages/xmpp-bridge/src/publishing/stanzas.ts";
import { startProsody } from "../../../../test/real/prosody.ts";
import { type Loop, runClosedLoop } from "../closed-loop.ts";
import { median } from "../ratio.ts";
import { openBareClient } from "./bare-client.ts";
import { type Subject, startSubject } from "./subject.ts";

const ROUNDS = 7;
const PER_ROUND = 1_000;
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
  readonly subject: () => Promise<number>;
  readonly bare: () => Promise<number>;
}

/** Publishes and notifications a second against a bare loop that writes the same stanzas to the same server. */
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
      name: `publishes, window ${window}`,
      ...(window === 32 ? { target: TARGET } : {}),
      subject: () => runClosedLoop(publisher.publishing, { from: 0, to: PER_ROUND, window }),
      bare: () => runClosedLoop(writing, { from: 0, to: PER_ROUND, window }),
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
  const subject = async (): Promise<number> => {
    await using it: Subject = await startSubject(
      service,
      { subscribe: ["bench/#"] },
      { channel: NODE, payload: PAYLOAD },
    );
    return await reading(it.onMessages);
  };
  const bareReader = async (): Promise<number> => {
    await using it = await openBareClient(port, "reader");
    await it.ask(subscription("subscribe", it.jid));
    const rate = await reading(it.onItems);
    await it.ask(subscription("unsubscribe", it.jid));
    return rate;
  };
  return await compare({ name, target, subject, bare: bareReader });
}

async function compare({ name, target, subject, bare }: Compared): Promise<boolean> {
  await subject();
  await bare();
  const rounds: { subject: number; bare: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Each goes first in half of the rounds.
    if (round % 2 === 0) rounds.push({ subject: await subject(), bare: await bare() });
    else rounds.push({ bare: await bare(), subject: await subject() });
  }
  const ratio = median(rounds.map((round) => round.subject / round.bare));
  const isWell = target === undefined || ratio >= target;
  const verdict = target === undefined ? "no target" : `target ≥ ${target}×: ${isWell ? "ok" : "MISSED"}`;
  console.log(
    `${name.padEnd(24)} ${Math.round(median(rounds.map((round) => round.subject)))}/s, ` +
      `${ratio.toFixed(2)}× of a bare loop (${Math.round(median(rounds.map((round) => round.bare)))}/s); ${verdict}`,
  );
  return isWell;
}

/** The stanzas that the bridge writes, with ids of their own. */
function stanzas(): () => string {
  let made = 0;
  const draft = { channel: NODE, payload: PAYLOAD, qos: 1, retain: false, priority: 0 } as const;
  return () => {
    made += 1;
    const id = made.toString(16).padStart(32, "0");
    const message = { ...draft, id, seq: made, publishedAt: 0, origin: "bench" };
    const payload = itemPayload(message, { gateway: "bare" });
    if (payload === "too-large") throw new Error(payload);
    const iq = publishIq({ pubsub: PUBSUB, node: NODE, item: id }, payload);
    iq.attrs["id"] = String(made);
    return iq.toString();
  };
}

const subscription = (verb: "subscribe" | "unsubscribe", jid: string): string =>
  `<iq type='set' to='${PUBSUB}' id='${verb}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>` +
  `<${verb} node='${NODE}' jid='${jid}'/></pubsub></iq>`;
