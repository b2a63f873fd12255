import { describe, expect, test } from "vitest";
import type { Answer, IncomingRequest, SentOutcome } from "../../src/messaging/messaging.ts";
import { type CoapMessage, MessageType } from "../../src/wire/coap-message.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import {
  createLab,
  empty,
  type From,
  type Lab,
  read,
  say,
  send,
  stranger,
  textOf,
  times,
  write,
} from "./lab.ts";

/** Answers each request after 60 ms, which is too late for a piggybacked answer, with its token as text. */
function createSlowLab(extra: Partial<Answer> = {}): Lab {
  const answers: (() => void)[] = [];
  const lab = createLab(({ token }: IncomingRequest) => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const tail = encodeTail([], Buffer.from(Buffer.from(token).toString("hex")));
    answers.push(() => resolve({ code: 0x45, tail, ...extra }));
    return promise;
  });
  const { advance } = lab.clock;
  lab.clock.advance = async (ms) => {
    await advance(ms);
    for (const answer of answers.splice(0)) answer();
    await advance(0);
  };
  return lab;
}

let messageId = 0;
/** Asks, waits for the empty acknowledgement, and returns what was said separately. */
async function askSlowly(
  lab: Lab,
  token: string,
  { observe = false, from = {} }: { observe?: boolean; from?: From } = {},
): Promise<CoapMessage[]> {
  messageId += 1;
  // Long enough that five times what answers it may go to a stranger.
  const path = [11, "61".repeat(40)] as const;
  lab.ask(write({ messageId, token, options: observe ? [[6, ""], path] : [path] }), from);
  await lab.clock.advance(60);
  const said = lab.said();
  expect(said).toContainEqual(
    expect.objectContaining({ type: MessageType.acknowledgement, code: 0, messageId }),
  );
  return said.filter(
    ({ type, token: its }) => type === MessageType.confirmable && Buffer.from(its).toString("hex") === token,
  );
}

describe("RFC 7252 §4.7, §5.2.2: NSTART limits clients; a separate answer waits for nobody", () => {
  test("it is not kept back by one before it that nobody has acknowledged", async () => {
    await using lab = createSlowLab();
    const [first] = await askSlowly(lab, "a1");
    const second = await askSlowly(lab, "a2");
    expect(second.map(textOf)).toEqual(["a2"]);
    expect(second[0]?.messageId).not.toBe(first?.messageId);
  });

  test("nor by a notification, which it does not keep back either (RFC 7641 §4.5.1 limits those alone)", async () => {
    await using lab = createSlowLab();
    const before = send(lab, () => say("before"));
    const [flying] = lab.said();
    expect((await askSlowly(lab, "a1")).map(textOf)).toEqual(["a1"]);
    const after = send(lab, () => say("after"));
    expect(lab.said()).toEqual([]);
    lab.ask(empty("ack", flying?.messageId));
    expect(before.told).toEqual(["acknowledged"]);
    // Sent at once, though the answer is still not acknowledged.
    after.cancel();
    const next = send(lab, () => say("next"));
    expect(lab.said().map(textOf)).toEqual(["next"]);
    next.cancel();
  });

  test("§4.2: each is repeated by itself under its message id until it is acknowledged, reset or given up", async () => {
    const told: SentOutcome[] = [];
    await using lab = createSlowLab({ ended: (outcome) => told.push(outcome) });
    const [one] = await askSlowly(lab, "a1");
    const [two] = await askSlowly(lab, "a2");
    const [three] = await askSlowly(lab, "a3");
    await lab.clock.advance(3_100);
    expect(lab.said()).toEqual(expect.arrayContaining([one, two, three]));
    lab.ask(empty("ack", two?.messageId));
    lab.ask(empty("rst", three?.messageId));
    expect(told).toEqual(["acknowledged", "reset"]);
    // Three more of the first, and nothing of the others.
    expect(await times(lab, 93_000)).toHaveLength(3);
    expect(told).toEqual(["acknowledged", "reset", "timeout"]);
    expect(lab.messaging.counts()).toMatchObject({ repeated: 6, timeouts: 1 });
    expect(await times(lab, 100_000)).toEqual([]);
  });

  test("an acknowledgement that comes again, or of nothing, changes nothing", async () => {
    await using lab = createSlowLab();
    const [one] = await askSlowly(lab, "a1");
    lab.ask(empty("ack", one?.messageId));
    lab.ask(empty("ack", one?.messageId));
    lab.ask(empty("rst", (one?.messageId ?? 0) + 1));
    expect(await times(lab, 100_000)).toEqual([]);
    expect((await askSlowly(lab, "a2")).map(textOf)).toEqual(["a2"]);
  });

  test("who acknowledges none has 64 of them at most, then 4.29", async () => {
    await using lab = createSlowLab();
    for (let at = 0; at < 64; at += 1) await askSlowly(lab, at.toString(16).padStart(4, "0"));
    messageId += 1;
    const [refused] = lab.ask(write({ messageId, token: "ffff" }));
    expect(refused && read(refused.bytes)).toMatchObject({ code: 0x9d, messageId });
  });

  test("RFC 7641 §4.5.1: one that begins an observation counts as a notification: one at a time", async () => {
    await using lab = createSlowLab();
    const [first] = await askSlowly(lab, "a1", { observe: true });
    expect(textOf(first ?? { payload: Buffer.alloc(0) })).toBe("a1");
    const note = send(lab, () => say("note"));
    expect(lab.said()).toEqual([]);
    lab.ask(empty("ack", first?.messageId));
    note.cancel();
    expect((await askSlowly(lab, "a2", { observe: true })).map(textOf)).toEqual(["a2"]);
  });

  test("to an address that has not proved itself they go one at a time: each more would be a guess more", async () => {
    await using lab = createSlowLab({ tail: undefined });
    const [first] = await askSlowly(lab, "a100000000000000", { from: stranger });
    expect(first).toMatchObject({ type: MessageType.confirmable, code: 0x45 });
    expect(await askSlowly(lab, "a200000000000000", { from: stranger })).toEqual([]);
    const left = lab.ask(empty("ack", first?.messageId), stranger);
    expect(left.map(({ bytes }) => Buffer.from(read(bytes).token).toString("hex"))).toEqual([
      "a200000000000000",
    ]);
    // It has proved itself by that.
    expect(await askSlowly(lab, "a300000000000000", { from: stranger })).toHaveLength(1);
  });

  test("the end of the layer is told of each, and nothing is repeated", async () => {
    const told: SentOutcome[] = [];
    const lab = createSlowLab({ ended: (outcome) => told.push(outcome) });
    await askSlowly(lab, "a1");
    await askSlowly(lab, "a2");
    await lab.messaging[Symbol.asyncDispose]();
    expect(told).toEqual(["cancelled", "cancelled"]);
    expect(await times(lab, 100_000)).toEqual([]);
  });
});
