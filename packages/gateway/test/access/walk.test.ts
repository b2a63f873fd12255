import { createPrng, type Prng } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { missingPeers } from "../../../../test/real/peer-packages.ts";
import type { AccessRule } from "../../src/access/index.ts";
import { answerOf } from "./walk/ask.ts";
import { checkCoapQuestions, coapReceiver } from "./walk/coap.ts";
import { startWalkGateway, TOKENS, type WalkGateway } from "./walk/gateway.ts";
import { deviceReceiver, httpReceiver, mqttReceiver, nodeReceiver, type Receiver } from "./walk/receivers.ts";
import {
  CHANNELS,
  drawFilters,
  drawRules,
  MARK_CHANNELS,
  matchesPlainly,
  mayPlainly,
  pick,
} from "./walk/rules.ts";
import { openSenders, type Sender } from "./walk/senders.ts";
import { startXmppSide } from "./walk/xmpp.ts";

const XMPP_PEERS = ["prosody", "openssl"];
const seeds = (runs: number): number[] => Array.from({ length: runs }, (_, at) => at + 1);
const RUNS = process.env["NOMQ_LONG"] ? 18 : 3;

/** One walk: who is there, what each must get. */
interface Walk {
  readonly prng: Prng;
  readonly gateway: WalkGateway;
  rules: readonly AccessRule[];
  readonly receivers: Receiver[];
  readonly expected: Map<Receiver, Set<string>>;
  /** Messages so far. */
  sent: number;
}

const reads = ({ filters }: Receiver, channel: string): boolean =>
  filters.some((filter) => matchesPlainly(filter, channel));

/** Everyone who is there, or whose session waits, must get it, if the rules say so. */
function expectFor(
  walk: Walk,
  receivers: readonly Receiver[],
  message: readonly [channel: string, text: string, from?: Sender],
): void {
  const [channel, text, from] = message;
  for (const receiver of receivers) {
    if (from?.side !== undefined && from.side === receiver.side) continue;
    if (!reads(receiver, channel) || !mayPlainly(walk.rules, receiver.who, ["subscribe", channel])) continue;
    walk.expected.get(receiver)?.add(`${channel} ${text}`);
  }
}

async function sendSome(walk: Walk, senders: readonly Sender[], each: number): Promise<void> {
  for (const sender of senders) {
    for (let round = 0; round < each; round += 1) {
      const channel = pick(walk.prng, CHANNELS);
      walk.sent += 1;
      const text = `m${walk.sent} of ${sender.name}`;
      const mayBe = mayPlainly(walk.rules, sender.who, ["publish", channel]);
      if (mayBe) expectFor(walk, walk.receivers, [channel, text, sender]);
      const taken = await sender.send(channel, text, mayBe);
      if (taken !== undefined)
        expect({ sender: sender.name, channel, taken }).toEqual({
          sender: sender.name,
          channel,
          taken: mayBe,
        });
    }
  }
}

/** Waits until everybody has what is due, and a mark that was sent last; then nobody has more. */
async function settle(walk: Walk, there: readonly Receiver[], mark: string): Promise<void> {
  await walk.gateway.control.publish({ channel: mark, payload: "x", qos: 1 });
  for (const receiver of there) {
    walk.expected.get(receiver)?.add(`${mark} x`);
    const due = [...(walk.expected.get(receiver) ?? [])].sort();
    await expect
      .poll(() => ({ who: receiver.name, missing: due.filter((each) => !receiver.got.has(each)) }), {
        interval: 10,
      })
      .toEqual({ who: receiver.name, missing: [] });
  }
  for (const receiver of there) {
    const due = walk.expected.get(receiver) ?? new Set();
    expect({
      who: receiver.name,
      more: [...receiver.got].filter((each) => !due.has(each) && !each.startsWith("end/")),
    }).toEqual({
      who: receiver.name,
      more: [],
    });
  }
}

/** A filter is refused only where nothing under it is allowed. */
function checkRefusals(walk: Walk, receiver: Receiver): void {
  for (const filter of receiver.refused) {
    const allowed = CHANNELS.filter(
      (channel) =>
        matchesPlainly(filter, channel) && mayPlainly(walk.rules, receiver.who, ["subscribe", channel]),
    );
    expect({ receiver: receiver.name, filter, allowed }).toEqual({
      receiver: receiver.name,
      filter,
      allowed: [],
    });
  }
}

function join(walk: Walk, receiver: Receiver): void {
  checkRefusals(walk, receiver);
  walk.receivers.push(receiver);
  walk.expected.set(receiver, new Set());
  for (const channel of CHANNELS) expectFor(walk, [receiver], [channel, "kept"]);
}

/** What HTTP answers to questions about channels and messages. */
async function checkQuestions(walk: Walk): Promise<void> {
  const ask = (path: string): ReturnType<typeof answerOf> =>
    answerOf(walk.gateway.http, { path, token: TOKENS.reader });
  for (const channel of CHANNELS) {
    const may = (action: "publish" | "subscribe"): boolean =>
      mayPlainly(walk.rules, "token:reader", [action, channel]);
    const latest = await ask(`channels/${encodeURIComponent(channel)}`);
    expect([channel, latest.status]).toEqual([channel, may("subscribe") ? 200 : 404]);
    const history = await ask(`history/${encodeURIComponent(channel)}`);
    expect([channel, history.status]).toEqual([channel, may("subscribe") ? 200 : 403]);
    expect(Array.isArray(history.body) && history.body.length > 0).toBe(may("subscribe"));
    const { id } = await walk.gateway.control.publish({ channel, payload: "asked", qos: 1 });
    expectFor(walk, walk.receivers, [channel, "asked"]);
    const receipt = await ask(`receipts/${id}`);
    expect([channel, receipt.status]).toEqual([channel, may("publish") || may("subscribe") ? 200 : 404]);
  }
  const { body: names } = await ask("channels");
  const readable = CHANNELS.filter((channel) =>
    mayPlainly(walk.rules, "token:reader", ["subscribe", channel]),
  );
  expect(new Set(Array.isArray(names) ? names : [])).toEqual(new Set([...readable, ...MARK_CHANNELS]));
}

async function walkOnce(seed: number, hasXmpp: boolean): Promise<void> {
  const prng = createPrng(seed);
  const before = drawRules(prng);
  const after = drawRules(prng);
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await deviceReceiver(drawFilters(prng)));
  const entry = { name: "pump", address: device.address, key: "field", kind: "node" };
  const xmpp = hasXmpp ? stack.use(await startXmppSide(seed % 2 === 1)) : undefined;
  const devices = [{ ...entry, subscribe: device.filters }];
  const gateway = stack.use(await startWalkGateway(before, { devices, xmpp: xmpp?.section }));
  device.meet(gateway);
  const walk: Walk = { prng, gateway, rules: before, receivers: [], expected: new Map(), sent: 0 };
  join(walk, device);
  const toXmpp = xmpp && stack.use(await xmpp.sender(gateway));
  if (xmpp !== undefined) join(walk, xmpp.receiver);
  for (const channel of CHANNELS)
    await gateway.control.publish({ channel, payload: "kept", qos: 1, retain: true });

  const filters = (): string[] => [...drawFilters(prng), ...drawFilters(prng)];
  const lasting = [
    stack.use(await mqttReceiver(gateway, { version: 4, user: "ann", filters: filters(), lasting: true })),
    stack.use(await mqttReceiver(gateway, { version: 5, user: "bob", filters: filters(), lasting: true })),
  ];
  for (const each of lasting) join(walk, each);
  join(walk, stack.use(await mqttReceiver(gateway, { version: 5, user: "ann", filters: filters() })));
  join(walk, stack.use(await mqttReceiver(gateway, { version: 4, filters: filters() })));
  join(walk, stack.use(await httpReceiver(gateway, { token: "reader", filters: filters() })));
  join(walk, stack.use(await httpReceiver(gateway, { filters: filters() })));
  join(walk, stack.use(await coapReceiver(gateway, { type: "con", filters: filters() })));
  join(walk, stack.use(await coapReceiver(gateway, { type: "non", filters: filters() })));
  // What a node asks for in vain it asks for again only after some time.
  const readable = CHANNELS.filter((channel) => mayPlainly(before, "nomq:site", ["subscribe", channel]));
  join(walk, stack.use(await nodeReceiver(gateway, readable.slice(0, 4))));
  const senders = (await openSenders(gateway)).map((each) => stack.use(each));
  if (toXmpp !== undefined) senders.push(toXmpp);

  // Live and retained, under the first rules.
  await settle(walk, walk.receivers, "end/0");
  await sendSome(walk, senders, 3);
  // For those who are away it is queued, and asked for again when they are back.
  const away = [...lasting, device];
  const there = walk.receivers.filter((each) => !away.includes(each));
  await settle(walk, walk.receivers, "end/1");
  for (const each of away) await each.away?.();
  await sendSome(walk, senders, 2);
  walk.rules = after;
  await gateway.setRules(after);
  for (const each of away) forget(walk, each);
  await sendSome(walk, senders, 3);
  join(walk, stack.use(await mqttReceiver(gateway, { version: 5, user: "bob", filters: filters() })));
  join(walk, stack.use(await httpReceiver(gateway, { token: "writer", filters: filters() })));
  await checkQuestions(walk);
  await checkCoapQuestions(gateway, after);
  for (const each of away) await each.back?.();
  await settle(walk, [...there, ...away, ...walk.receivers.slice(-2)], "end/2");
}

/** What waits for it and is not its any more. */
function forget({ rules, expected }: Walk, receiver: Receiver): void {
  const due = expected.get(receiver) ?? new Set();
  for (const each of due) {
    const channel = each.slice(0, each.indexOf(" "));
    if (!receiver.got.has(each) && !mayPlainly(rules, receiver.who, ["subscribe", channel])) due.delete(each);
  }
}

describe("over every path, before and after a change of the rules", () => {
  test.each(seeds(missingPeers(XMPP_PEERS).length === 0 ? 1 : RUNS))(
    "nothing arrives that is not allowed, and all that is (seed %i)",
    async (seed) => await walkOnce(seed, false),
  );
});

describeWithPeers("over every path, with XMPP among them", XMPP_PEERS, () => {
  test.each(seeds(RUNS))(
    "nothing arrives that is not allowed, and all that is (seed %i)",
    async (seed) => await walkOnce(seed, true),
  );
});
