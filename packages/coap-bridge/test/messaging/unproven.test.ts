import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Answer, SentOutcome } from "../../src/messaging/messaging.ts";
import { MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { findOption } from "../../src/wire/options.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { createLab, isPing, type Lab, type Left, read, reset, stranger, write } from "./lab.ts";

const large: Answer = { code: 0x45, tail: encodeTail([], Buffer.alloc(900, "x")) };
const get = write({ options: [[11, "61"]] });
const sum = (left: readonly Left[]): number => left.reduce((bytes, each) => bytes + each.bytes.length, 0);
const echoOf = (left: Left | undefined): Buffer => {
  const echo = left && findOption(read(left.bytes).options, OptionNumber.echo);
  return Buffer.from(echo?.value ?? []);
};

describe("RFC 9175 §2.4, RFC 7252 §11.3: what an address that may be forged gets", () => {
  test("an answer of up to three times the request goes at once", async () => {
    await using lab = createLab(() => ({
      code: 0x45,
      tail: encodeTail([], Buffer.alloc(3 * get.length - 6)),
    }));
    const left = lab.ask(get, stranger);
    expect(sum(left)).toBe(3 * get.length);
  });

  test("a larger one waits for the reset of a ping, which every client of RFC 7252 sends; then it is piggybacked", async () => {
    await using lab = createLab(() => large);
    const left = lab.ask(get, stranger);
    expect(left.map(isPing)).toEqual([true]);
    const answers = lab.ask(reset(left[0]), stranger);
    expect(answers.map(({ bytes }) => read(bytes))).toMatchObject([
      { type: MessageType.acknowledgement, code: 0x45, messageId: 0x1234 },
    ]);
    // It is known from now on.
    expect(lab.ask(write({ messageId: 2 }), stranger)).toHaveLength(1);
    expect(lab.served).toHaveLength(2);
    expect(lab.messaging.counts().challenged).toBe(1);
  });

  test("a ping that was lost is sent again when the client repeats its request, which is served once", async () => {
    await using lab = createLab(() => large);
    const [lost] = lab.ask(get, stranger);
    await lab.clock.advance(250);
    const [again] = lab.ask(get, stranger);
    expect(again?.bytes).toEqual(lost?.bytes);
    expect(lab.ask(reset(again), stranger)).toHaveLength(1);
    expect(lab.served).toHaveLength(1);
  });

  test("a ping is sent again after 300 ms: libcoap may ignore the first", async () => {
    await using lab = createLab(() => large);
    const [first] = lab.ask(write({ options: [[11, "6162"]] }), stranger);
    await lab.clock.advance(320);
    const [second] = lab.socket.taken();
    expect(second?.bytes).toEqual(first?.bytes);
    expect(lab.ask(reset(second), stranger)).toHaveLength(1);
  });

  test("who does not answer it gets 4.01 with Echo, and the answer for a request that brings it back", async () => {
    await using lab = createLab(() => large);
    lab.ask(get, stranger);
    await lab.clock.advance(5100);
    const challenge = lab.socket.taken().at(-1);
    expect(challenge && read(challenge.bytes)).toMatchObject({
      type: MessageType.acknowledgement,
      code: 0x81,
    });
    const echo = echoOf(challenge);
    expect(echo).toHaveLength(8);
    const retry = write({ messageId: 2, options: [[252, echo.toString("hex")]] });
    const [answer] = lab.ask(retry, stranger).filter((left) => !isPing(left));
    expect(answer && read(answer.bytes)).toMatchObject({ code: 0x45 });
  });

  test("an Echo value counts for the address and port it went to, and for some minutes", async () => {
    await using lab = createLab(() => large);
    lab.ask(get, stranger);
    await lab.clock.advance(5100);
    const echo = echoOf(lab.socket.taken().at(-1)).toString("hex");
    const retry = (messageId: number): Buffer => write({ messageId, options: [[252, echo]] });
    for (const from of [
      { ...stranger, port: 40_001 },
      { ...stranger, host: "192.0.2.8" },
    ]) {
      expect(lab.ask(retry(2), from).every(isPing)).toBe(true);
    }
    expect(
      lab.ask(write({ messageId: 3, options: [[252, "0000000000000000"]] }), stranger).every(isPing),
    ).toBe(true);
    await lab.clock.advance(250_000);
    lab.said();
    expect(lab.ask(retry(4), stranger).every(isPing)).toBe(true);
  });

  test("guessing message ids proves nothing: after 8 misses no ping is sent any more", async () => {
    await using lab = createLab(() => large);
    const [ping] = lab.ask(get, stranger);
    const right = ping ? read(ping.bytes).messageId : 0;
    for (let miss = 1; miss <= 8; miss += 1) {
      lab.ask(write({ type: "rst", code: "0.00", token: "", messageId: (right + miss) & 0xffff }), stranger);
    }
    expect(lab.ask(reset(ping), stranger)).toEqual([]);
    expect(
      lab.ask(write({ messageId: 2 }), stranger).some((left) => isPing(left) || left.bytes.length > 100),
    ).toBe(false);
  });

  test("a NON, a separate answer and a multicast request wait as well", async () => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    await using lab = createLab(({ messageId }) => (messageId === 2 ? promise : large));
    const [ping] = lab.ask(write({ type: "non", messageId: 1 }), stranger);
    expect(ping && isPing(ping)).toBe(true);
    expect(lab.ask(reset(ping), stranger).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);

    const other = { ...stranger, port: 2 };
    lab.ask(write({ messageId: 2 }), other);
    await lab.clock.advance(60);
    lab.said();
    resolve(large);
    await lab.clock.advance(0);
    const [second] = lab.socket.taken();
    expect(second && isPing(second)).toBe(true);
    expect(lab.ask(reset(second), other).map(({ bytes }) => read(bytes))).toMatchObject([
      { type: MessageType.confirmable, code: 0x45 },
    ]);

    const third = { ...stranger, port: 3 };
    lab.ask(write({ type: "non", messageId: 3 }), { ...third, toGroup: true });
    await lab.clock.advance(5100);
    const [group] = lab.socket.taken().filter(({ port }) => port === 3);
    expect(group && isPing(group)).toBe(true);
    expect(lab.ask(reset(group), third).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);
  });

  test("a flood of forged addresses does not use up what others need", async () => {
    await using lab = createLab(() => large, { limits: { underWayInAll: 1 } });
    for (let forged = 0; forged < 1500; forged += 1)
      lab.ask(get, { host: `10.1.${forged >> 8}.${forged & 255}` });
    expect(lab.messaging.counts()).toMatchObject({ challenged: 1500, limited: 0 });
    // Too many wait for a reset: another stranger is challenged at once, and who is known is served.
    const [challenge] = lab.ask(get, stranger);
    expect(challenge && read(challenge.bytes).code).toBe(0x81);
    const retry = write({ messageId: 2, options: [[252, echoOf(challenge).toString("hex")]] });
    expect(lab.ask(retry, stranger).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);
    expect(lab.ask(get).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);
    await lab.clock.advance(300_000);
    lab.said();
    expect(lab.ask(get, { host: "10.2.0.1" }).map(isPing)).toEqual([true]);
  });

  test("notifications wait as well, and end when nobody answers; requests of ours go", async () => {
    await using lab = createLab();
    const told: SentOutcome[] = [];
    const value = { type: MessageType.nonConfirmable, code: 0x45, token: Uint8Array.of(1), tail: large.tail };
    for (let times = 0; times < 3; times += 1) {
      lab.messaging.send(
        lab.remote(stranger),
        () => value,
        (outcome) => told.push(outcome),
      );
    }
    expect(lab.socket.taken().map(isPing)).toEqual([true]);
    await lab.clock.advance(100_000);
    expect(lab.socket.taken().every(isPing)).toBe(true);
    expect(told).toEqual(["timeout", "timeout", "timeout"]);
    const request = { type: MessageType.confirmable, code: 3, token: Uint8Array.of(1), tail: large.tail };
    lab.messaging.send(
      lab.remote({ ...stranger, port: 2 }),
      () => request,
      () => undefined,
    );
    expect(lab.socket.taken().map(({ bytes }) => bytes.length)).toEqual([906]);
  });

  test("an acknowledgement of a CON of ours proves it too; loopback and configured networks need no proof", async () => {
    await using lab = createLab(() => large, { trusted: ["192.0.2.0/28", "127.0.0.0/8"] });
    expect(lab.ask(get, stranger)).toHaveLength(1);
    expect(lab.ask(get, { host: "127.0.0.9" })).toHaveLength(1);
    const from = { host: "192.0.2.99", port: 1 };
    const small = { type: MessageType.confirmable, code: 1, token: Uint8Array.of(1) };
    lab.messaging.send(
      lab.remote(from),
      () => small,
      () => undefined,
    );
    expect(lab.remote(from).proven).toBe(false);
    lab.ask(write({ type: "ack", code: "0.00", token: "", messageId: lab.said()[0]?.messageId ?? 0 }), from);
    expect(lab.remote(from).proven).toBe(true);
    const [answer] = lab.ask(get, from);
    expect(answer?.bytes.length).toBe(906);
  });

  test("whatever comes from a forged address, at most three times as many bytes go there", async () => {
    const sizes = fc.record({
      code: fc.constantFrom("0.01", "0.03", "2.05", "7.01"),
      type: fc.constantFrom("con", "non") as fc.Arbitrary<"con" | "non">,
      messageId: fc.nat(3),
      options: fc.constantFrom([], [[2049, ""]] as const, [[35, "61"]] as const, [[11, "61"]] as const),
      wait: fc.constantFrom(0, 20, 100, 3000, 60_000),
      size: fc.constantFrom(0, 10, 40, 900),
      delayed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(sizes, { maxLength: 12 }), async (steps) => {
        let now: (typeof steps)[number] | undefined;
        const answer = (): Answer => ({ code: 0x45, tail: encodeTail([], Buffer.alloc(now?.size ?? 0)) });
        await using lab: Lab = createLab(async () => {
          if (now?.delayed === true) await new Promise<void>((resolve) => lab.clock.after(60, resolve));
          return answer();
        });
        let came = 0;
        let went = 0;
        for (const step of steps) {
          now = step;
          const datagram = write({ ...step, options: [...step.options] });
          came += datagram.length;
          went += sum(lab.ask(datagram, stranger));
          await lab.clock.advance(step.wait);
          went += sum(lab.socket.taken());
          expect(went).toBeLessThanOrEqual(3 * came);
        }
        await lab.clock.advance(300_000);
        expect(went + sum(lab.socket.taken())).toBeLessThanOrEqual(3 * came);
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 2000 : 40 },
    );
  });
});
