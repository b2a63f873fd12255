import type { Login } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { type Bench, startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

interface LoginBench extends Bench {
  /** What was asked: name, password, address. */
  readonly asked: (readonly [string, string, string])[];
  /** Accounts that hold; the others are gone. */
  readonly valid: Set<string>;
  /** Logins wait until it is called. */
  release(): void;
}

/** Accounts: any name whose password is its own in capitals; `slow` waits, `busy` comes later, `broken` fails. */
async function startLogins(anonymous: "loopback" | "none" = "none"): Promise<LoginBench> {
  const asked: (readonly [string, string, string])[] = [];
  const valid = new Set(["ann", "bob", "slow"]);
  const released = Promise.withResolvers<void>();
  const authenticate = async (name: string, password: string, from: string): Promise<Login> => {
    asked.push([name, password, from]);
    if (name === "slow") await released.promise;
    if (name === "busy") return { is: "later", afterMs: 1_000 };
    if (name === "broken") throw new Error("no accounts today");
    if (password !== name.toUpperCase()) return { is: "refused", reason: "credentials" };
    return { is: "accepted", principal: `user:${name}`, isValid: () => valid.has(name) };
  };
  const bench = await startBench({ listen: [{ url: "mqtt://127.0.0.1:0", anonymous }], authenticate });
  return { ...bench, asked, valid, release: released.resolve };
}

const named = (name: string, password = name.toUpperCase()): { username: string; password: Buffer } => ({
  username: name,
  password: Buffer.from(password),
});

describe("a login", () => {
  test("with the right password is that user, wherever it comes from", async () => {
    await using bench = await startLogins();
    const client = await bench.client({ clientId: "c", ...named("ann") });
    client.send(publishOf({ topic: "a", qos: 1, messageId: 1 }));
    await client.take("puback");
    expect(bench.asked).toEqual([["ann", "ANN", "127.0.0.1"]]);
    expect(bench.hub.published.map(({ from }) => from)).toEqual(["user:ann"]);
  });

  test.each([
    ["a wrong password", 5, "ann", { reasonCode: 0x86 }, "credentials"],
    ["a wrong password", 4, "ann", { returnCode: 4 }, "credentials"],
    ["too many attempts", 5, "busy", { reasonCode: 0x9f }, "throttled"],
    ["too many attempts", 4, "busy", { returnCode: 3 }, "throttled"],
    ["accounts that fail", 5, "broken", { reasonCode: 0x88 }, "login-failed"],
  ] as const)("with %s (MQTT level %i) is refused and counted [MQTT-3.1.4-2]", async (...given) => {
    const [, protocolVersion, name, answer, reason] = given;
    await using bench = await startLogins();
    const client = await bench.client({ bare: true, protocolVersion, ...named(name, "wrong") });
    expect(await client.take("connack")).toMatchObject(answer);
    await client.closed;
    expect(bench.bridge.counts().clientsRefused).toEqual({ [reason]: 1 });
    const said = JSON.stringify([bench.hub.recorded, bench.hub.warnings]);
    expect(said).not.toContain("wrong");
    if (reason !== "login-failed") {
      expect(bench.hub.recorded).toMatchObject([
        { who: `user:${name}`, what: "login.refused", details: { reason, address: "127.0.0.1" } },
      ]);
    }
  });

  test("with a name and no password is no anonymous client", async () => {
    await using bench = await startLogins("loopback");
    const client = await bench.client({ bare: true, username: "ann" });
    expect(await client.take("connack")).toMatchObject({ reasonCode: 0x86 });
  });

  test("whoever shows nothing is anonymous, where the listener takes that", async () => {
    await using open = await startLogins("loopback");
    const client = await open.client();
    client.send(publishOf({ topic: "a", qos: 1, messageId: 1 }));
    await client.take("puback");
    expect(open.hub.published.map(({ from }) => from)).toEqual(["addr:127.0.0.1"]);
    await using closed = await startLogins("none");
    const other = await closed.client({ bare: true });
    expect(await other.take("connack")).toMatchObject({ reasonCode: 0x87 });
    expect(open.asked).toEqual([]);
  });

  test("that takes its time holds what follows it, in order, and nobody else", async () => {
    await using bench = await startLogins();
    const behind = ["1", "2", "3"].map((payload, at) => publishOf({ payload, qos: 1, messageId: at + 1 }));
    const slow = await bench.client({ bare: true, ...named("slow"), behind });
    const other = await bench.client({ clientId: "o", ...named("bob") });
    await other.settled();
    expect(bench.hub.published).toEqual([]);
    expect(slow.got).toEqual([]);
    bench.release();
    await slow.take("connack");
    for (const _ of behind) await slow.take("puback");
    expect(bench.hub.published.map(({ draft }) => Buffer.from(draft.payload).toString())).toEqual([
      "1",
      "2",
      "3",
    ]);
  });

  test("that takes ten seconds is not waited for, and what it answers then is for nobody", async () => {
    await using bench = await startLogins();
    const slow = await bench.client({ bare: true, ...named("slow") });
    await using other = await bench.client({ clientId: "o", ...named("bob") });
    await other.settled();
    await bench.hub.clock.advance(10_000);
    await slow.closed;
    bench.release();
    await other.settled();
    expect(slow.got).toEqual([]);
    expect(bench.bridge.counts().clientsRefused).toEqual({ "connect-late": 1 });
  });
});

describe("a session of a user", () => {
  const kept = { clientId: "phone", clean: false, properties: { sessionExpiryInterval: 100 } };

  test("cannot be taken over by another who knows the client id, connected or not", async () => {
    await using bench = await startLogins("loopback");
    const ann = await bench.client({ ...kept, ...named("ann") });
    const bob = await bench.client({ ...kept, bare: true, ...named("bob") });
    expect(await bob.take("connack")).toMatchObject({ reasonCode: 0x85 });
    await ann.settled();
    ann.send({ cmd: "disconnect" });
    await ann.closed;
    const nobody = await bench.client({ ...kept, bare: true, protocolVersion: 5 });
    expect(await nobody.take("connack")).toMatchObject({ reasonCode: 0x85 });
    const again = await bench.client({ ...kept, bare: true, ...named("ann") });
    expect(await again.take("connack")).toMatchObject({ reasonCode: 0, sessionPresent: true });
    expect(bench.bridge.counts().clientsRefused).toEqual({ "session-of-another": 2 });
  });

  test("that was anonymous before there were accounts becomes that of the first user who comes", async () => {
    await using bench = await startLogins("loopback");
    const nobody = await bench.client(kept);
    nobody.send({ cmd: "disconnect" });
    await nobody.closed;
    const ann = await bench.client({ ...kept, bare: true, ...named("ann") });
    expect(await ann.take("connack")).toMatchObject({ reasonCode: 0, sessionPresent: true });
  });
});

describe("after a change of access", () => {
  test("an account that is gone loses its connections at once, and only those [MQTT-4.13.1-1]", async () => {
    await using bench = await startLogins();
    const ann = await bench.client({ clientId: "a", ...named("ann") });
    const bob = await bench.client({ clientId: "b", ...named("bob") });
    bench.valid.delete("ann");
    bench.hub.accessChanged();
    expect(await ann.take("disconnect")).toMatchObject({ reasonCode: 0x87 });
    await ann.closed;
    await bob.settled();
    expect(bench.bridge.counts().connectionsCut).toEqual({ "login-withdrawn": 1 });
  });

  test("a client that may have nothing of its filters any more is told so; one that may have some stays", async () => {
    await using bench = await startLogins();
    const cut = await bench.subscriber("secret", 0, { clientId: "a", ...named("ann") });
    const stays = await bench.subscriber("secret", 0, { clientId: "b", ...named("bob") });
    stays.send({ cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "open", qos: 0 }] });
    await stays.take("suback");
    const publishes = await bench.client({ clientId: "c", ...named("ann") });
    bench.hub.forbidden = (_action, channel) => channel === "secret";
    bench.hub.accessChanged();
    expect(await cut.take("disconnect")).toMatchObject({ reasonCode: 0x87 });
    await bench.hub.deliver({ channel: "secret" });
    await bench.hub.deliver({ channel: "open" });
    await stays.settled();
    await publishes.settled();
    expect(stays.messages()).toEqual(["open payload"]);
  });

  test("a publish at QoS 2 that is sent again routes nothing anew; one after it is refused [MQTT-4.3.3-10]", async () => {
    await using bench = await startLogins();
    const client = await bench.client({ clientId: "a", ...named("ann") });
    const first = publishOf({ topic: "cmd", qos: 2, messageId: 7 });
    client.send(first);
    expect(await client.take("pubrec")).toMatchObject({ messageId: 7 });
    bench.hub.forbidden = (action) => action === "publish";
    bench.hub.accessChanged();
    client.send({ ...first, dup: true });
    expect(await client.take("pubrec")).toMatchObject({ messageId: 7 });
    client.send(publishOf({ topic: "cmd", qos: 2, messageId: 8 }));
    expect(await client.take("pubrec")).toMatchObject({ messageId: 8, reasonCode: 0x87 });
    await client.settled();
    expect(bench.hub.published).toHaveLength(1);
  });

  test("what comes for a session that is away, and is not its any more, is not kept for it", async () => {
    await using bench = await startLogins();
    const kept = { clientId: "a", clean: false, properties: { sessionExpiryInterval: 100 }, ...named("ann") };
    const client = await bench.subscriber("#", 1, kept);
    client.send({ cmd: "disconnect" });
    await client.closed;
    await bench.hub.deliver({ channel: "early", qos: 1 });
    bench.hub.forbidden = (_action, channel) => channel !== "open";
    bench.hub.accessChanged();
    await bench.hub.deliver({ channel: "late", qos: 1 });
    await bench.hub.deliver({ channel: "open", qos: 1 });
    const back = await bench.client(kept);
    await back.take("publish");
    await back.settled();
    expect(back.messages()).toEqual(["open payload"]);
  });
});

test("a will that its client may not publish is refused with the CONNECT, and later when it is due", async () => {
  await using bench = await startLogins();
  const will = { topic: "gone", payload: Buffer.from("x"), qos: 1 as const, retain: false };
  bench.hub.forbidden = (action, channel) => action === "publish" && channel === "gone";
  const early = await bench.client({ bare: true, will, ...named("ann") });
  expect(await early.take("connack")).toMatchObject({ reasonCode: 0x87 });
  bench.hub.forbidden = () => false;
  const client = await bench.client({ will, ...named("ann") });
  bench.hub.forbidden = (action, channel) => action === "publish" && channel === "gone";
  client.socket.destroy();
  await expect
    .poll(() => bench.hub.recorded.map(({ who, what }) => `${who} ${what}`))
    .toContain("user:ann publish.refused");
  expect(bench.hub.published).toEqual([]);
});
