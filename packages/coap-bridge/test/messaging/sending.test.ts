import { describe, expect, test } from "vitest";
import type { Outgoing, SentOutcome } from "../../src/messaging/messaging.ts";
import { createLab, empty, hexes, once, read, say, send, textOf, times, write } from "./lab.ts";

describe("RFC 7252 §4.2: a CON of ours", () => {
  test("is repeated after 2 to 3 s, then twice as long each time, 4 times; within 93 s it is a timeout", async () => {
    await using lab = createLab();
    const message = say("x");
    const { told } = send(lab, () => message);
    const [first] = lab.said();
    const at = await times(lab, 93_000);
    expect(at).toHaveLength(4);
    const [timeout = 0] = at;
    expect(timeout).toBeGreaterThanOrEqual(2000);
    expect(timeout).toBeLessThanOrEqual(3050);
    const waits = at.map((moment, index) => moment - (at[index - 1] ?? 0));
    for (const [index, wait] of waits.slice(1).entries()) {
      expect(Math.abs(wait - 2 * (waits[index] ?? 0))).toBeLessThanOrEqual(150);
    }
    expect(told).toEqual(["timeout"]);
    expect(first?.messageId).toBeDefined();
    expect(lab.messaging.counts()).toMatchObject({ repeated: 4, timeouts: 1 });
  });

  test("is the same bytes each time, and never again once acknowledged", async () => {
    await using lab = createLab();
    const message = say("x");
    const { told } = send(lab, () => message);
    const first = hexes(lab.socket.taken());
    await lab.clock.advance(3100);
    expect(hexes(lab.socket.taken())).toEqual(first);
    const messageId = Number.parseInt(first[0]?.slice(4, 8) ?? "", 16);
    // Another remote, and another message id, acknowledge nothing.
    lab.ask(empty("ack", messageId), { port: 40_001 });
    lab.ask(empty("ack", messageId ^ 1));
    expect(told).toEqual([]);
    expect(lab.ask(empty("ack", messageId))).toEqual([]);
    expect(told).toEqual(["acknowledged"]);
    expect(await times(lab, 100_000)).toEqual([]);
  });

  test("ends when it is reset", async () => {
    await using lab = createLab();
    const { told } = send(lab, () => say("x"));
    lab.ask(empty("rst", lab.said()[0]?.messageId));
    expect(told).toEqual(["reset"]);
    expect(await times(lab, 100_000)).toEqual([]);
  });

  test("ends without a word when it is cancelled, in flight or waiting", async () => {
    await using lab = createLab();
    const flying = send(lab, () => say("one"));
    const waiting = send(lab, () => say("two"));
    const last = send(lab, () => say("three"));
    expect(lab.said().map(textOf)).toEqual(["one"]);
    waiting.cancel();
    flying.cancel();
    expect(lab.said().map(textOf)).toEqual(["three"]);
    last.cancel();
    last.cancel();
    expect(await times(lab, 100_000)).toEqual([]);
    expect([flying.told, waiting.told, last.told]).toEqual([[], [], []]);
  });

  test("§4.7: waits while another to the same remote is in flight (NSTART 1), in order; another remote does not wait", async () => {
    await using lab = createLab();
    const all = ["one", "two", "three"].map((text) => send(lab, () => say(text)));
    const other: SentOutcome[] = [];
    lab.messaging.send(
      lab.remote({ port: 40_001 }),
      () => say("other"),
      (outcome) => other.push(outcome),
    );
    const [one, there] = lab.said();
    expect([one, there].map((each) => each && textOf(each))).toEqual(["one", "other"]);
    const [two, ...early] = lab.ask(empty("ack", one?.messageId));
    expect(early).toEqual([]);
    expect(two && textOf(read(two.bytes))).toBe("two");
    const [three] = lab.ask(empty("rst", two && read(two.bytes).messageId));
    expect(three && textOf(read(three.bytes))).toBe("three");
    expect(all.map(({ told }) => told)).toEqual([["acknowledged"], ["reset"], []]);
  });

  test("RFC 7641 §4.5.2: what it says now takes the place of what it said, with its own id and the old timer", async () => {
    await using lab = createLab();
    let value = say("old");
    const { told } = send(lab, () => value);
    const [old] = lab.said();
    value = say("new");
    await lab.clock.advance(3100);
    const [fresh] = lab.said();
    expect(fresh && textOf(fresh)).toBe("new");
    expect(fresh?.messageId).not.toBe(old?.messageId);
    // The old one was heard: the new one is still on its way.
    lab.ask(empty("ack", old?.messageId));
    expect(told).toEqual([]);
    expect(await times(lab, 93_000)).toHaveLength(3);
    expect(told).toEqual(["timeout"]);
  });

  test("asks what to say when its turn has come, and says nothing when there is nothing any more", async () => {
    await using lab = createLab();
    let value: Outgoing | undefined = say("first");
    send(lab, () => say("in flight"));
    const late = send(lab, () => value);
    const silent = send(lab, () => undefined);
    const [flying] = lab.said();
    value = say("newest");
    const [newest] = lab.ask(empty("ack", flying?.messageId));
    expect(newest && textOf(read(newest.bytes))).toBe("newest");
    value = undefined;
    await lab.clock.advance(3100);
    expect(lab.said()).toEqual([]);
    expect([late.told, silent.told]).toEqual([["cancelled"], ["cancelled"]]);
  });

  test("a next or an ended that throws breaks nothing", async () => {
    await using lab = createLab();
    const fail = (): never => {
      throw new Error("bug");
    };
    lab.messaging.send(lab.remote(), fail, fail);
    lab.messaging.send(lab.remote(), () => once("x"), fail);
    expect(lab.said().map(textOf)).toEqual(["x"]);
  });
});

describe("RFC 7252 §4.3: a NON of ours", () => {
  test("leaves once and is told at once; a reset by its message id is told later (RFC 7641 §3.6)", async () => {
    await using lab = createLab();
    const one = send(lab, () => once("one"));
    const two = send(lab, () => once("two"));
    const [first, second] = lab.said();
    expect([one.told, two.told]).toEqual([["sent"], ["sent"]]);
    expect(await times(lab, 100_000)).toEqual([]);
    lab.ask(empty("rst", second?.messageId), { port: 40_001 });
    lab.ask(empty("rst", second?.messageId));
    lab.ask(empty("rst", second?.messageId));
    expect([one.told, two.told]).toEqual([["sent"], ["sent", "reset"]]);
    one.cancel();
    lab.ask(empty("rst", first?.messageId));
    expect(one.told).toEqual(["sent"]);
  });

  test("is forgotten some time after NON_LIFETIME", async () => {
    await using lab = createLab();
    const { told } = send(lab, () => once("x"));
    const [left] = lab.said();
    await lab.clock.advance(400_000);
    lab.ask(write());
    await lab.clock.advance(200_000);
    send(lab, () => once("y"));
    lab.ask(empty("rst", left?.messageId));
    expect(told).toEqual(["sent"]);
  });

  test("RFC 7641 §4.5.2: waits behind a CON in flight", async () => {
    await using lab = createLab();
    send(lab, () => say("probe"));
    const { told } = send(lab, () => once("value"));
    const [probe] = lab.said();
    expect(told).toEqual([]);
    const [value] = lab.ask(empty("ack", probe?.messageId));
    expect(value && textOf(read(value.bytes))).toBe("value");
  });
});

describe("remotes and the end", () => {
  test("a remote is found again by its key, and by its address", async () => {
    await using lab = createLab();
    lab.ask(write(), { host: "fe80::7%eth0", port: 61_616 });
    const { from } = lab.served[0] ?? {};
    expect(from).toMatchObject({ host: "fe80::7%eth0", port: 61_616, via: "coap://[::]:5683" });
    expect(lab.messaging.remote(from?.key ?? "")).toBe(from);
    expect(lab.messaging.remoteAt({ host: "fe80::7%eth0", port: 61_616 })).toBe(from);
    for (const key of [
      "",
      "elsewhere 127.0.0.1 5",
      "coap://[::]:5683 127.0.0.1 0",
      "coap://[::]:5683 127.0.0.1 70000",
    ]) {
      expect(lab.messaging.remote(key)).toBeUndefined();
    }
  });

  test("one that was forgotten is spoken to all the same", async () => {
    await using lab = createLab();
    const remote = lab.remote();
    lab.ask(write({ type: "non" }));
    expect(lab.messaging.counts().remotes).toBe(1);
    await lab.clock.advance(400_000);
    expect(lab.messaging.counts().remotes).toBe(0);
    lab.said();
    lab.messaging.send(
      remote,
      () => once("x"),
      () => undefined,
    );
    expect(lab.said().map(textOf)).toEqual(["x"]);
  });

  test("closing ends everything: what waits is cancelled, and no timer is left", async () => {
    const lab = createLab(() => new Promise(() => undefined));
    const all = [send(lab, () => say("one")), send(lab, () => say("two"))];
    lab.ask(write());
    await lab[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
    expect(all.map(({ told }) => told)).toEqual([["cancelled"], ["cancelled"]]);
    expect(lab.clock.pending()).toBe(0);
    lab.said();
    expect(lab.ask(write({ messageId: 1 }))).toEqual([]);
    expect(send(lab, () => say("late")).told).toEqual(["cancelled"]);
  });
});
