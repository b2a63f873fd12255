import { createMemoryStore, type Message } from "@nomq/core";
import { createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const text = (message: Message | undefined): string | undefined =>
  message === undefined ? undefined : Buffer.from(message.payload).toString();

describe("the one truth", () => {
  test("set, replace and clear", async () => {
    await using rig = await createRig();
    await rig.publish({ text: "1", retain: true });
    expect(text(await rig.port.latest("a/b", "anonymous"))).toBe("1");
    await rig.publish({ text: "2", qos: 2, retain: true });
    expect(text(await rig.port.latest("a/b", "anonymous"))).toBe("2");
    await rig.publish({ text: "", qos: 1, retain: true });
    expect(await rig.port.latest("a/b", "anonymous")).toBeUndefined();
    expect(await all(rig.port.retained(["#"], "anonymous"))).toEqual([]);
  });

  test("a message without retain does not touch it, QoS 0 with retain does", async () => {
    await using rig = await createRig();
    await rig.publish({ text: "state", retain: true });
    await rig.publish({ text: "event", qos: 1 });
    expect(text(await rig.port.latest("a/b", "anonymous"))).toBe("state");
  });

  test("values are listed by filter, each as it is when asked for, and only what the principal may see", async () => {
    const may = (who: string, _action: string, channel: string): boolean =>
      who === "user:all" || channel !== "secret";
    await using rig = await createRig({ access: { may } });
    for (const channel of ["a", "b", "secret", "x/1"]) {
      await rig.port.publish({ channel, payload: Buffer.from("old"), retain: true }, "user:all");
    }
    const listed: string[] = [];
    for await (const message of rig.port.retained(["+"], "anonymous")) {
      listed.push(`${message.channel}=${text(message)}`);
      await rig.port.publish({ channel: "b", payload: Buffer.from("new"), retain: true }, "user:all");
    }
    expect(listed).toEqual(["a=old", "b=new"]);
    expect(await rig.port.latest("secret", "anonymous")).toBeUndefined();
  });

  test("a list and a channel show only what the principal may see, also where nothing changes meanwhile", async () => {
    const may = (who: string, _action: string, channel: string): boolean =>
      who === "user:all" || channel !== "secret";
    await using rig = await createRig({ access: { may } });
    for (const channel of ["a", "secret"]) {
      await rig.port.publish({ channel, payload: Buffer.from(channel), retain: true }, "user:all");
    }
    expect((await all(rig.port.retained(["#"], "user:some"))).map(text)).toEqual(["a"]);
    expect((await all(rig.port.retained(["#"], "user:all"))).map(text)).toEqual(["a", "secret"]);
    expect(await rig.port.latest("secret", "user:some")).toBeUndefined();
  });

  test("a value expires, and expires again after a reopening", async () => {
    const store = createMemoryStore();
    const rig = await createRig({ store });
    await rig.publish({ text: "1", retain: true, ttlMs: 1_000 });
    await rig.clock.advance(999);
    expect(text(await rig.port.latest("a/b", "anonymous"))).toBe("1");
    await rig.clock.advance(1);
    expect(await rig.port.latest("a/b", "anonymous")).toBeUndefined();
    expect(await all(rig.port.retained(["#"], "anonymous"))).toEqual([]);
    await rig[Symbol.asyncDispose]();
    await using again = await createRig({ store, clock: rig.clock });
    expect(await again.port.latest("a/b", "anonymous")).toBeUndefined();
  });
});

describe("a peer that wants retained values", () => {
  test("gets them at attach as retained, read when sent", async () => {
    await using rig = await createRig();
    for (const channel of ["a", "b", "c"]) await rig.publish({ channel, text: "old", retain: true });
    const peer = createRecorder({ retained: "deliver" }, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "c", text: "new", retain: true });
    for (let at = 0; at < 3; at += 1) await lastCall(peer).answer();
    const seen = peer.calls.map((call) => `${call.message.channel}=${call.text} ${call.delivery.cause}`);
    expect(seen.toSorted()).toEqual(["a=old retained", "b=old retained", "c=new live"]);
  });

  test("gets them for added filters only", async () => {
    await using rig = await createRig();
    for (const channel of ["a", "b"]) await rig.publish({ channel, text: "v", retain: true });
    const peer = createRecorder({ retained: "deliver", filters: ["a"] });
    const attachment = await rig.attach(peer);
    await attachment.change({ add: ["b", "a"] });
    await settle();
    expect(peer.calls.map((call) => call.message.channel)).toEqual(["a", "b"]);
  });

  test("a live message without retain is preceded by the owed value", async () => {
    await using rig = await createRig();
    await rig.publish({ channel: "first", text: "v", retain: true });
    await rig.publish({ channel: "second", text: "state", retain: true });
    const peer = createRecorder({ retained: "deliver" }, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "second", text: "event" });
    await lastCall(peer).answer();
    await lastCall(peer).answer();
    expect(peer.texts).toEqual(["v", "state", "event"]);
  });

  test("a peer without retained gets none", async () => {
    await using rig = await createRig();
    await rig.publish({ text: "v", retain: true });
    const peer = createRecorder();
    await rig.attach(peer);
    expect(peer.calls).toEqual([]);
  });

  test("what was cleared is not sent in a burst", async () => {
    await using rig = await createRig();
    await rig.publish({ text: "v", retain: true });
    await rig.publish({ text: "", retain: true });
    const peer = createRecorder({ retained: "deliver" });
    await rig.attach(peer);
    expect(peer.calls).toEqual([]);
  });

  test("bursts and repairs change no receipt but count as accepted", async () => {
    await using rig = await createRig();
    const first = await rig.publish({ text: "v", qos: 1, retain: true });
    const attachment = await rig.attach(createRecorder({ retained: "deliver" }));
    expect(attachment.ledger()).toMatchObject({ accepted: 1, delivered: 1 });
    expect((await rig.port.receipt(first.id))?.outcomes).toEqual([]);
  });
});

describe("owed channels", () => {
  test("a durable peer that comes back gets values and clears, after what waits for it", async () => {
    await using rig = await createRig();
    const before = createRecorder({ durable: true, retained: "deliver" });
    const attachment = await rig.attach(before);
    await rig.publish({ channel: "kept", text: "1", retain: true });
    await rig.publish({ channel: "cleared", text: "1", retain: true });
    await attachment[Symbol.asyncDispose]();
    await rig.publish({ channel: "cleared", text: "", qos: 1, retain: true });
    const after = createRecorder({ durable: true, retained: "deliver" });
    await rig.attach(after);
    const seen = after.calls.map((call) => `${call.message.channel}=${call.text} ${call.delivery.cause}`);
    expect(seen).toEqual(
      ["cleared= live", "cleared= repair", "kept=1 repair"].toSorted(
        (a, b) => seen.indexOf(a) - seen.indexOf(b),
      ),
    );
    expect(seen[0]).toBe("cleared= live");
  });

  test("repair sends the retained state again, also to its origin", async () => {
    await using rig = await createRig();
    const peer = createRecorder();
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "a", text: "1", retain: true }, { attachment: "peer" });
    await rig.publish({ channel: "b", text: "2", retain: true }, { attachment: "peer" });
    expect(peer.calls).toEqual([]);
    attachment.repair(["a"]);
    await settle();
    expect(peer.calls.map((call) => `${call.message.channel} ${call.delivery.cause}`)).toEqual(["a repair"]);
    attachment.repair();
    await settle();
    expect(peer.calls).toHaveLength(3);
  });

  test.each([["uncertain", { is: "uncertain", reason: "no PUBREC" } as const]])(
    "a retained change that ended %s is repaired with the value of that moment",
    async (_name, end) => {
      await using rig = await createRig();
      const peer = createRecorder({}, "asks");
      await rig.attach(peer);
      await rig.publish({ text: "1", qos: 2, retain: true });
      await lastCall(peer).answer(end);
      expect(lastCall(peer)).toMatchObject({ text: "1", delivery: { cause: "repair", attempt: 1 } });
    },
  );

  test("an expired retained change is repaired with an empty payload", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ channel: "x", text: "open" });
    await rig.publish({ text: "1", qos: 1, retain: true, ttlMs: 1_000 });
    await rig.clock.advance(1_000);
    await lastCall(peer).answer();
    expect(lastCall(peer)).toMatchObject({
      text: "",
      message: { retain: true },
      delivery: { cause: "repair" },
    });
  });

  test("a peer that sets a channel while an older change waits towards it is put right", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "older", qos: 1, retain: true });
    await rig.publish({ text: "own", qos: 1, retain: true }, { attachment: "peer" });
    await lastCall(peer).answer();
    expect(peer.calls.map((call) => `${call.text} ${call.delivery.cause}`)).toEqual([
      "older live",
      "own repair",
    ]);
  });

  test("so is one that sets it while an older change is uncommitted", async () => {
    const store = createFaultyStore(createMemoryStore());
    await using rig = await createRig({ store });
    const peer = createRecorder();
    await rig.attach(peer);
    store.hang();
    const older = rig.publish({ text: "older", qos: 1, retain: true });
    const own = rig.publish({ text: "own", qos: 1, retain: true }, { attachment: "peer" });
    await settle();
    store.heal();
    await Promise.all([older, own]);
    await settle(20);
    expect(peer.calls.map((call) => `${call.text} ${call.delivery.cause}`)).toEqual([
      "older live",
      "own repair",
    ]);
  });

  test("a peer whose change was refused gets the value that holds", async () => {
    const may = (who: string, action: string): boolean => action === "subscribe" || who === "user:boss";
    await using rig = await createRig({ access: { may } });
    await rig.port.publish({ channel: "s", payload: Buffer.from("true"), retain: true }, "user:boss");
    const peer = createRecorder();
    await rig.attach(peer);
    await rig.port.publish({ channel: "s", payload: Buffer.from("mine"), retain: true }, "anonymous", {
      attachment: "peer",
    });
    await settle();
    expect(peer.texts).toEqual(["true"]);
    await rig.port.publish({ channel: "none", payload: Buffer.from("mine"), retain: true }, "anonymous", {
      attachment: "peer",
    });
    await settle();
    expect(lastCall(peer)).toMatchObject({ text: "", message: { channel: "none", retain: true } });
  });

  test("repairs that fail again and again are not tried in a hot loop", async () => {
    await using rig = await createRig();
    let calls = 0;
    const deliver = () => {
      calls += 1;
      return Promise.resolve({ is: "uncertain", reason: "never known" } as const);
    };
    await rig.port.attach({ name: "p", as: "anonymous", filters: ["#"], durable: false, deliver });
    await rig.publish({ text: "1", qos: 2, retain: true });
    await settle(50);
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(10);
    await rig.clock.advance(60_000);
    expect(calls).toBeGreaterThan(5);
    expect(calls).toBeLessThan(30);
  });
});

test("what comes to be owed while an owed value is read does not hold up the messages behind it", async () => {
  const store = createFaultyStore(createMemoryStore());
  await using rig = await createRig({ store });
  const peer = createRecorder({ retained: "deliver" });
  store.hang("everything");
  const attachment = await rig.attach(peer);
  await rig.publish({ text: "1" });
  await rig.publish({ text: "2" });
  await attachment.change({ add: ["a/b"] });
  await settle();
  store.heal();
  await settle(20);
  expect(peer.texts.slice(0, 2)).toEqual(["1", "2"]);
});

test("looking through very many names lets other callbacks have their turn", async () => {
  await using rig = await createRig();
  for (let at = 0; at < 9000; at += 1) await rig.publish({ channel: `many/${at}`, text: "1", retain: true });
  const turns = async (look: () => Promise<unknown[]>): Promise<{ found: number; others: boolean }> => {
    let others = false;
    setImmediate(() => {
      others = true;
    });
    return { found: (await look()).length, others };
  };
  expect(await turns(() => all(rig.port.retained(["none/#"], "anonymous")))).toEqual({
    found: 0,
    others: true,
  });
  expect(await turns(() => all(rig.port.channels("many/#", { follow: false })))).toEqual({
    found: 9000,
    others: true,
  });
});
