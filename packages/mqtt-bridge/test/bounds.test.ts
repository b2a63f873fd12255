import { describe, expect, test } from "vitest";
import { type Bench, startBench } from "./bench.ts";
import { SESSION, subscribed } from "./lasting.ts";
import type { RawClient } from "./raw-client.ts";

const LISTEN = { listen: ["mqtt://127.0.0.1:0"] };
const session = (clientId: string) => ({ ...SESSION, clientId });

/** A session that wants the filter and is away. */
async function away(bench: Bench, clientId: string, filter: string): Promise<void> {
  const client = await subscribed(bench, { topic: filter, qos: 1 }, session(clientId));
  await leaves(bench, client);
}

async function deliver(bench: Bench, channel: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) await bench.hub.deliver({ channel, qos: 1, payload: Buffer.from(text) });
}

/** The client goes, and the broker has seen it. */
async function leaves(bench: Bench, ...clients: readonly RawClient[]): Promise<void> {
  for (const client of clients) client.send({ cmd: "disconnect" });
  await Promise.all(clients.map(({ closed }) => closed));
  await (await bench.client()).settled();
}

/** What waits for a session. */
async function waiting(bench: Bench, clientId: string): Promise<string[]> {
  await using client = await bench.client(session(clientId));
  await client.settled();
  return client.messages().map((message) => message.slice(-2));
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => String(at).padStart(2, "0"));

describe("all sessions together hold no more than they may", () => {
  test("in messages: whoever has most waiting loses its oldest, and nobody else", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { messages: 10 } });
    await away(bench, "few", "few");
    await away(bench, "many", "many");
    await deliver(bench, "few", ["f0", "f1"]);
    await deliver(bench, "many", numbered(12));
    await deliver(bench, "few", ["f2"]);
    expect(bench.bridge.counts()).toMatchObject({
      messagesDropped: { overflow: 5 },
      sessions: { accepted: 15, dropped: { overflow: 5 }, pending: 10 },
    });
    expect(await waiting(bench, "few")).toEqual(["f0", "f1", "f2"]);
    expect(await waiting(bench, "many")).toEqual(numbered(12).slice(5));
  });

  test("in bytes, properties included; a message that many wait for counts once", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { bytes: 5_000 } });
    await away(bench, "one", "shared/#");
    await away(bench, "two", "shared/#");
    await away(bench, "three", "own");
    const long = { properties: [["k", "x".repeat(890)]] as const, payload: Buffer.from("99") };
    for (const name of numbered(5)) await bench.hub.deliver({ channel: `shared/${name}`, qos: 1, ...long });
    expect(bench.bridge.counts().sessions).toMatchObject({ pending: 10, dropped: {} });
    await bench.hub.deliver({ channel: "own", qos: 1, payload: Buffer.alloc(900, "y") });
    // The oldest goes from both, and only then takes no room.
    expect(bench.bridge.counts().sessions).toMatchObject({ pending: 9, dropped: { overflow: 2 } });
    expect(await waiting(bench, "three")).toEqual(["yy"]);
    expect(await waiting(bench, "two")).toHaveLength(4);
  });

  test("what is on its way is never dropped: the newcomer is", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { messages: 3 } });
    const client = await subscribed(bench, { topic: "live", qos: 1 }, session("live"));
    const ids: number[] = [];
    for (const text of numbered(3)) {
      await deliver(bench, "live", [text]);
      ids.push((await client.take("publish")).messageId ?? 0);
    }
    await away(bench, "away", "away");
    await deliver(bench, "away", ["00"]);
    expect(bench.bridge.counts().sessions).toMatchObject({ pending: 3, dropped: { overflow: 1 } });
    for (const messageId of ids) client.send({ cmd: "puback", messageId, reasonCode: 0 });
    await client.settled();
    await deliver(bench, "away", ["01"]);
    expect(await waiting(bench, "away")).toEqual(["01"]);
  });

  test("one session has a bound of its own", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { each: { messages: 3 } } });
    await away(bench, "away", "#");
    await deliver(bench, "a", numbered(5));
    expect(bench.bridge.counts().sessions.dropped).toEqual({ "session-full": 2 });
    expect(await waiting(bench, "away")).toEqual(["02", "03", "04"]);
  });

  test("where an earlier run was given more, the rest goes at the start, from whoever has most", async () => {
    await using first = await startBench({ ...LISTEN });
    await away(first, "few", "few");
    await away(first, "many", "many");
    await deliver(first, "few", ["f0"]);
    await deliver(first, "many", numbered(20));
    await using second = await first.killed(0, { ...LISTEN, sessions: { messages: 6 } });
    expect(second.bridge.counts().sessions).toMatchObject({ pending: 6, dropped: { overflow: 15 } });
    expect(await waiting(second, "few")).toEqual(["f0"]);
    expect(await waiting(second, "many")).toEqual(numbered(20).slice(15));
  });
});

describe("sessions are so many", () => {
  test("a further one is refused, over restarts; one that ends makes room, one that does not last needs none", async () => {
    await using first = await startBench({ ...LISTEN, sessions: { most: 2 } });
    await first.client(session("a"));
    await away(first, "b", "#");
    await using second = await first.killed();
    const refused = await second.client({ ...session("c"), bare: true });
    expect(await refused.take("connack")).toMatchObject({ reasonCode: 0x97 });
    const old = await second.client({ clientId: "d", clean: false, protocolVersion: 4, bare: true });
    expect(await old.take("connack")).toMatchObject({ returnCode: 3 });
    expect((await second.client({ clientId: "e" })).got[0]).toMatchObject({ reasonCode: 0 });
    expect((await second.client(session("b"))).got[0]).toMatchObject({ reasonCode: 0, sessionPresent: true });
    const ending = await second.client({ clientId: "a", clean: true });
    await ending.end();
    await second.gone();
    expect((await second.client(session("c"))).got[0]).toMatchObject({ reasonCode: 0 });
  });

  test("and last so long after their connection; MQTT 5 is told (section 3.2.2.3.2)", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { expiry: 60 } });
    const expiryOf = ({ got }: RawClient): unknown =>
      got[0]?.cmd === "connack" ? got[0].properties?.sessionExpiryInterval : undefined;
    const long = { clean: false, properties: { sessionExpiryInterval: 0xffff_ffff } };
    const five = await bench.client({ ...long, clientId: "five" });
    expect(expiryOf(five)).toBe(60);
    const short = await bench.client({
      ...long,
      clientId: "short",
      properties: { sessionExpiryInterval: 59 },
    });
    expect(expiryOf(short)).toBeUndefined();
    const old = await bench.client({ clientId: "old", clean: false, protocolVersion: 4 });
    five.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 1_000 } });
    await five.closed;
    await leaves(bench, old);
    await bench.hub.clock.advance(59_000);
    for (const clientId of ["five", "old"]) {
      const again = await bench.client({ ...long, clientId });
      expect(again.got[0]).toMatchObject({ sessionPresent: true });
      await leaves(bench, again);
    }
    await bench.hub.clock.advance(61_000);
    expect((await bench.client({ ...long, clientId: "five" })).got[0]).toMatchObject({
      sessionPresent: false,
    });
    expect((await bench.client({ ...long, clientId: "old" })).got[0]).toMatchObject({
      sessionPresent: false,
    });
  });
});

describe("all clients together have so many filters", () => {
  const at = (topic: string) => ({ topic, qos: 1 as const });
  const ask = async (client: RawClient, filters: readonly string[], messageId: number) => {
    client.send({ cmd: "subscribe", messageId, subscriptions: filters.map(at) });
    return (await client.take("suback")).granted;
  };

  test("a further one is refused; those that are held may be asked for again", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { subscriptions: 4 } });
    const one = await bench.client(session("one"));
    expect(await ask(one, ["a", "b", "c"], 1)).toEqual([1, 1, 1]);
    const two = await bench.client(session("two"));
    expect(await ask(two, ["a", "b"], 1)).toEqual([1, 0x97]);
    const old = await bench.client({ clientId: "old", protocolVersion: 4 });
    expect(await ask(old, ["a"], 1)).toEqual([0x80]);
    expect(await ask(one, ["a", "c", "d"], 2)).toEqual([1, 1, 0x97]);
    one.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["b"] });
    await one.take("unsuback");
    expect(await ask(two, ["b", "x"], 2)).toEqual([1, 0x97]);
  });

  test("many that ask at the same time get no more", async () => {
    await using bench = await startBench({ ...LISTEN, sessions: { subscriptions: 4 } });
    const clients = await Promise.all(numbered(4).map((id) => bench.client(session(id))));
    const answers = await Promise.all(clients.map((client, id) => ask(client, ["a", "b", `c${id}`], 1)));
    expect(answers.flat().filter((code) => code === 1)).toHaveLength(4);
  });
});

test("limits that are none are refused by name", async () => {
  const wrong = startBench({ ...LISTEN, sessions: { each: { bytes: 0 } } });
  await expect(wrong).rejects.toThrow("mqtt.sessions.each.bytes must be a whole number from 1 up");
});
