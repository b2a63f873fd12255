import { describe, expect, test } from "vitest";
import type { Outgoing, SentOutcome } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { createLab, hexes, type Lab, read, write } from "./lab.ts";

const say = (text: string, type: Outgoing["type"] = MessageType.confirmable): Outgoing => ({
  type,
  code: 0x45,
  token: Uint8Array.of(0xa1),
  tail: encodeTail([], Buffer.from(text)),
});
const once = (text: string): Outgoing => say(text, MessageType.nonConfirmable);

/** Sends to 127.0.0.1:40000 and keeps what was told. */
function send(lab: Lab, next: () => Outgoing | undefined): { told: SentOutcome[]; cancel(): void } {
  const told: SentOutcome[] = [];
  const sent = lab.messaging.send(lab.remote(), next, (outcome) => told.push(outcome));
  return { told, cancel: () => sent.cancel() };
}

const textOf = ({ payload }: { readonly payload: Uint8Array }): string => Buffer.from(payload).toString();
const empty = (type: "ack" | "rst", messageId = 0): Buffer =>
  write({ type, code: "0.00", token: "", messageId });

/** Milliseconds from now at which something left, until `ms` have passed. */
async function times(lab: Lab, ms: number): Promise<number[]> {
  const found: number[] = [];
  const since = lab.clock.monotonic();
  for (let passed = 0; passed < ms; passed += 50) {
    await lab.clock.advance(50);
    found.push(...lab.said().map(() => lab.clock.monotonic() - since));
  }
  return found;
}

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
    const [two] = lab.ask(empty("ack", one?.messageId));
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

describe("RFC 7252 §5.3: requests of ours", () => {
  const get: Outgoing = { type: MessageType.confirmable, code: 1, token: Uint8Array.of(0xa1) };

  function request(lab: Lab): { responses: string[]; told: SentOutcome[]; messageId: number; end(): void } {
    const responses: string[] = [];
    const { end } = lab.messaging.expect(lab.remote(), get.token, (response) =>
      responses.push(textOf(response)),
    );
    const { told } = send(lab, () => get);
    return { responses, told, messageId: lab.said()[0]?.messageId ?? 0, end };
  }

  test("§5.2.1: a piggybacked response acknowledges and is told once", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    const response = write({ type: "ack", code: "2.05", messageId, payload: "21" });
    expect([...lab.ask(response), ...lab.ask(response)]).toEqual([]);
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
  });

  test("§5.3.2: the wrong token, message id, address or port is no response to it", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    lab.ask(write({ type: "ack", code: "2.05", messageId, token: "a2", payload: "x" }));
    lab.ask(write({ type: "ack", code: "2.05", messageId: messageId ^ 1, payload: "x" }));
    lab.ask(write({ type: "ack", code: "2.05", messageId, payload: "x" }), { port: 40_001 });
    lab.ask(write({ type: "ack", code: "2.05", messageId, payload: "x" }), { host: "127.0.0.2" });
    expect(hexes(lab.ask(write({ code: "2.05", messageId: 9, payload: "x" }), { port: 40_001 }))).toEqual([
      "70000009",
    ]);
    expect({ responses, told }).toEqual({ responses: [], told: [] });
  });

  test("§5.2.2: a separate CON response is acknowledged, also its copies, and told once", async () => {
    await using lab = createLab();
    const { responses, told, messageId } = request(lab);
    lab.ask(empty("ack", messageId));
    const separate = write({ code: "2.05", messageId: 9, payload: "21" });
    expect(hexes([...lab.ask(separate), ...lab.ask(separate)])).toEqual(["60000009", "60000009"]);
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
  });

  test("§5.2.2: a response that overtakes the acknowledgement ends the repetitions", async () => {
    await using lab = createLab();
    const { responses, told } = request(lab);
    lab.ask(write({ type: "non", code: "2.05", messageId: 9, payload: "21" }));
    expect({ responses, told }).toEqual({ responses: ["21"], told: ["acknowledged"] });
    expect(await times(lab, 100_000)).toEqual([]);
  });

  test("RFC 7641 §3.5, 3.6: notifications come under the same token until it is not expected any more; then they are reset", async () => {
    await using lab = createLab();
    const { responses, end } = request(lab);
    for (const [at, payload] of ["1", "2", "2"].entries()) {
      lab.ask(write({ type: "non", code: "2.05", messageId: Math.min(at, 1), payload }));
    }
    expect(responses).toEqual(["1", "2"]);
    end();
    end();
    expect(hexes(lab.ask(write({ type: "non", code: "2.05", messageId: 5, payload: "3" })))).toEqual([
      "70000005",
    ]);
    expect(responses).toEqual(["1", "2"]);
  });

  test("§5.4.1: a response with a critical option we do not know is reset", async () => {
    await using lab = createLab();
    const { responses } = request(lab);
    expect(hexes(lab.ask(write({ code: "2.05", messageId: 9, options: [[2049, ""]] })))).toEqual([
      "70000009",
    ]);
    expect(responses).toEqual([]);
  });

  test("without a server, requests are reset or ignored", async () => {
    const lab = createLab();
    await using messaging = (await import("../../src/messaging/create-messaging.ts")).createMessaging({
      clock: lab.clock,
    });
    messaging.listen(lab.socket);
    expect(hexes(lab.ask(write()))).toEqual(["70001234"]);
    expect(lab.ask(write({ type: "non" }))).toEqual([]);
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
