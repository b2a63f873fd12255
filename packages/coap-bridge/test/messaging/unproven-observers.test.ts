import { describe, expect, test } from "vitest";
import type { Answer, SentOutcome } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { createLab, isPing, read, reset, stranger, write } from "./lab.ts";

describe("RFC 7641 §7: nobody observes from an address that may be forged", () => {
  test("RFC 7641 §7: an observation begins when the address has proved itself, however small its answer is", async () => {
    await using lab = createLab(() => ({ code: 0x45 }));
    const [ping] = lab.ask(write({ options: [[6, ""]] }), stranger);
    expect(ping && isPing(ping)).toBe(true);
    expect(lab.ask(reset(ping), stranger).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);
    expect(lab.ask(write({ options: [[6, "01"]] }), { ...stranger, port: 2 }).map(isPing)).toEqual([false]);
  });

  test("so it does where Observe is a zero of one byte (RFC 7252 §3.2)", async () => {
    await using lab = createLab(() => ({ code: 0x45 }));
    const left = ["00", "0000"].flatMap((zero, at) =>
      lab.ask(write({ messageId: at, options: [[6, zero]] }), { ...stranger, port: 50_000 + at }),
    );
    expect(left.map(isPing)).toEqual([true, true]);
  });

  test("an observation whose address does not prove itself is over: forged ones would use up all there may be", async () => {
    const told: SentOutcome[] = [];
    const answer = { code: 0x45, ended: (outcome: SentOutcome) => told.push(outcome) };
    await using lab = createLab(() => answer);
    const register = write({ options: [[6, ""]] });
    const [ping] = lab.ask(register, stranger);
    lab.ask(reset(ping), stranger);
    expect(told).toEqual([]);
    lab.ask(register, { ...stranger, port: 50_000 });
    await lab.clock.advance(5100);
    expect(told).toEqual(["reset"]);
  });

  test("what must not begin before is served again once the address has proved itself, quick or slow, once for all copies", async () => {
    const begun: number[] = [];
    const slowly = async (answer: Answer): Promise<Answer> => {
      await new Promise<void>((resolve) => lab.clock.after(60, resolve));
      return answer;
    };
    await using lab = createLab(({ messageId, from }) => {
      if (from.proven) begun.push(messageId);
      const answer: Answer = from.proven ? { code: 0x45 } : { code: 0x45, onceProven: true };
      return messageId === 1 ? answer : slowly(answer);
    });
    const register = (messageId: number): Buffer => write({ messageId, options: [[6, ""]] });
    const [ping] = lab.ask(register(1), stranger);
    lab.ask(register(1), stranger);
    expect(begun).toEqual([]);
    expect(lab.ask(reset(ping), stranger).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);
    expect(lab.ask(register(1), stranger).map(({ bytes }) => read(bytes).code)).toEqual([0x45]);

    const other = { ...stranger, port: 50_000 };
    lab.ask(register(2), other);
    await lab.clock.advance(70);
    const left = lab.socket.taken();
    expect(left.map(({ bytes }) => read(bytes).type)).toEqual([
      MessageType.acknowledgement,
      MessageType.confirmable,
    ]);
    lab.ask(reset(left[1]), other);
    await lab.clock.advance(70);
    expect(lab.said()).toMatchObject([{ type: MessageType.confirmable, code: 0x45 }]);

    lab.ask(register(3), { ...stranger, port: 50_001 });
    await lab.clock.advance(100_000);
    expect(begun).toEqual([1, 2]);
  });

  test("RFC 7967: nor does an observation begin unproven where No-Response wants to hear nothing", async () => {
    const told: SentOutcome[] = [];
    const answer = { code: 0x45, ended: (outcome: SentOutcome) => told.push(outcome) };
    const slow = async (): Promise<Answer> => {
      await new Promise<void>((resolve) => lab.clock.after(60, resolve));
      return answer;
    };
    await using lab = createLab(({ messageId }) => (messageId === 1 ? slow() : answer));
    const options = [
      [6, ""],
      [258, "1a"],
    ] as const;
    expect(lab.ask(write({ messageId: 2, options }), stranger).map(isPing)).toEqual([true]);
    lab.ask(write({ messageId: 1, options }), { ...stranger, port: 50_000 });
    await lab.clock.advance(5200);
    expect(told).toEqual(["reset", "reset"]);
  });
});
