import { describe, expect, test } from "vitest";
import type { Answer } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { bytes, createLab, hexes, read, write } from "./lab.ts";

const content: Answer = { code: 0x45, tail: encodeTail([], Buffer.from("21.5")) };
/** 2.05 with "21.5", piggybacked on message id 1234, token a1. */
const PIGGYBACKED = "61451234a1ff32312e35";

/** An answer that is given later. */
function later(): { readonly answer: Promise<Answer | undefined>; give(answer?: Answer): void } {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  return { answer: promise, give: (answer) => resolve(answer) };
}

describe("RFC 7252 §4.2, §4.3: what is no request", () => {
  test("TD_COAP_CORE_31, §4.3: a ping is answered with a reset", async () => {
    await using lab = createLab();
    expect(hexes(lab.ask(bytes("4000beef")))).toEqual(["7000beef"]);
    expect(lab.served).toEqual([]);
  });

  test.each([
    ["§3: another version", "80011234"],
    ["§3: a datagram shorter than a header", "400112"],
    ["§4.3: an empty NON", "50001234"],
    ["§4.2: an acknowledgement of nothing", "60001234"],
    ["§4.2: a reset of nothing", "70001234"],
    ["§4.2: a request as acknowledgement", "60011234"],
    ["§4.2: a request as reset", "70011234"],
    ["§4.2: a response as acknowledgement of nothing", "61451234a1"],
  ])("silence: %s", async (_what, datagram) => {
    await using lab = createLab();
    expect(lab.ask(bytes(datagram))).toEqual([]);
    expect(lab.served).toEqual([]);
  });

  test.each([
    ["a token of 9 bytes", "4901 1234 010203040506070809"],
    ["TKL 12", `4c01 1234 ${"00".repeat(12)}`],
    ["RFC 8974 §2.2.2: an extended token", `4d01 1234 00 ${"aa".repeat(13)}`],
    ["TKL 14", `4e01 1234 0000 ${"aa".repeat(269)}`],
    ["TKL 15", `4f01 1234 ${"aa".repeat(15)}`],
    ["a token cut off", "4403 1234 0102"],
    ["an option cut off in a PUT", "4003 1234 b4616263"],
    ["an option with the reserved length 15", "4003 1234 bf61"],
    ["a marker without payload", "4003 1234 b161 ff"],
    ["an empty message with payload", "4000 1234 ff61"],
    ["an empty message with a token", "4100 1234 aa"],
    ["§3: the reserved class 1", "4020 1234"],
    ["§3: the reserved class 6", "40c0 1234"],
    ["RFC 8323's class 7, which UDP has not", "40e1 1234"],
  ])("§4.2, §3: %s: a CON is reset, a NON gets silence, nothing is executed", async (_what, datagram) => {
    await using lab = createLab();
    const confirmable = bytes(datagram);
    const nonConfirmable = Buffer.from(confirmable);
    nonConfirmable[0] = (confirmable[0] ?? 0) | 0x10;
    expect(hexes(lab.ask(confirmable))).toEqual(["70001234"]);
    expect(lab.ask(nonConfirmable)).toEqual([]);
    expect(lab.served).toEqual([]);
    expect(lab.messaging.counts().malformed).toBe(2);
  });

  test("§5.3.2: a response nobody waits for is reset, CON or NON", async () => {
    await using lab = createLab();
    expect(hexes(lab.ask(bytes("41451234a1")))).toEqual(["70001234"]);
    expect(hexes(lab.ask(bytes("51451235a1")))).toEqual(["70001235"]);
  });

  test("a datagram from port 0 is dropped: nothing could be sent there", async () => {
    await using lab = createLab();
    expect(lab.ask(write(), { port: 0 })).toEqual([]);
    expect(lab.ask(bytes("4000beef"), { port: 0 })).toEqual([]);
    expect(lab.served).toEqual([]);
    expect(lab.messaging.counts().dropped).toBe(2);
  });

  test("answers and errors go to the sender alone, address and port", async () => {
    await using lab = createLab();
    for (const datagram of [write(), bytes("4901 1234 010203040506070809"), bytes("4000 1234")]) {
      for (const from of [
        { host: "127.0.0.2", port: 5 },
        { host: "::1", port: 6 },
      ]) {
        expect(lab.ask(datagram, from).map(({ host, port }) => ({ host, port }))).toEqual([from]);
      }
    }
  });
});

describe("RFC 7252 §5.2: answers", () => {
  test.each([
    ["TD_COAP_CORE_01: GET", "0.01"],
    ["TD_COAP_CORE_02: DELETE", "0.04"],
    ["TD_COAP_CORE_03: PUT", "0.03"],
    ["TD_COAP_CORE_04: POST", "0.02"],
  ])("%s as CON is answered on its acknowledgement", async (_what, code) => {
    await using lab = createLab(() => content);
    expect(hexes(lab.ask(write({ code })))).toEqual([PIGGYBACKED]);
  });

  test.each([
    ["TD_COAP_CORE_05: GET", "0.01"],
    ["TD_COAP_CORE_06: DELETE", "0.04"],
    ["TD_COAP_CORE_07: PUT", "0.03"],
    ["TD_COAP_CORE_08: POST", "0.02"],
  ])("%s as NON is answered by a NON with a message id of ours", async (_what, code) => {
    await using lab = createLab(() => content);
    const [left] = lab.ask(write({ type: "non", code }));
    expect(left && read(left.bytes)).toMatchObject({ type: MessageType.nonConfirmable, code: 0x45 });
    const [next] = lab.ask(write({ type: "non", code, messageId: 0x1235 }));
    const ids = [left, next].map((each) => each && read(each.bytes).messageId);
    expect(ids[1]).toBe(((ids[0] ?? 0) + 1) & 0xffff);
  });

  test("TD_COAP_CORE_10, 12: the token comes back, also the empty one", async () => {
    await using lab = createLab();
    expect(hexes(lab.ask(write({ token: "0102030405060708" })))).toEqual(["684512340102030405060708"]);
    expect(hexes(lab.ask(write({ token: "", messageId: 1 })))).toEqual(["60450001"]);
  });

  test("§5.2.1: an answer within 50 ms is piggybacked", async () => {
    const { answer, give } = later();
    await using lab = createLab(() => answer);
    expect(lab.ask(write())).toEqual([]);
    await lab.clock.advance(40);
    give(content);
    await lab.clock.advance(0);
    expect(hexes(lab.socket.taken())).toEqual([PIGGYBACKED]);
    await lab.clock.advance(300_000);
    expect(lab.socket.taken()).toEqual([]);
  });

  test("TD_COAP_CORE_09, 11, §5.2.2: later it goes separately, with the token, until acknowledged", async () => {
    const { answer, give } = later();
    await using lab = createLab(() => answer);
    lab.ask(write({ token: "c0ffee" }));
    await lab.clock.advance(60);
    expect(hexes(lab.socket.taken())).toEqual(["60001234"]);
    give(content);
    await lab.clock.advance(0);
    const [separate] = lab.said();
    expect(separate).toMatchObject({ type: MessageType.confirmable, code: 0x45 });
    expect(Buffer.from(separate?.token ?? []).toString("hex")).toBe("c0ffee");
    await lab.clock.advance(3100);
    expect(lab.said()).toEqual([separate]);
    expect(
      lab.ask(write({ type: "ack", code: "0.00", token: "", messageId: separate?.messageId ?? 0 })),
    ).toEqual([]);
    await lab.clock.advance(300_000);
    expect(lab.said()).toEqual([]);
  });

  test("TD_COAP_CORE_17: a NON is answered late by a NON, and never acknowledged", async () => {
    const { answer, give } = later();
    await using lab = createLab(() => answer);
    lab.ask(write({ type: "non" }));
    await lab.clock.advance(5000);
    expect(lab.said()).toEqual([]);
    give(content);
    await lab.clock.advance(0);
    expect(lab.said()).toMatchObject([{ type: MessageType.nonConfirmable, code: 0x45 }]);
  });

  test("no answer is an empty acknowledgement of a CON and silence for a NON", async () => {
    await using lab = createLab(() => undefined);
    expect(hexes(lab.ask(write()))).toEqual(["60001234"]);
    expect(lab.ask(write({ type: "non", messageId: 9 }))).toEqual([]);
  });

  test("§5.9.3.1: what throws or rejects is 5.00 without a word about why", async () => {
    await using lab = createLab(({ messageId }) => {
      if (messageId === 1) throw new Error("secret");
      return Promise.reject(new Error("secret"));
    });
    expect(hexes(lab.ask(write({ messageId: 1 })))).toEqual(["61a00001a1"]);
    lab.ask(write({ messageId: 2 }));
    await lab.clock.advance(0);
    expect(hexes(lab.socket.taken())).toEqual(["61a00002a1"]);
  });

  test("the outcome of a separate answer and the reset of a NON one are told", async () => {
    const told: string[] = [];
    const { answer, give } = later();
    const ended = (outcome: string): void => void told.push(outcome);
    await using lab = createLab(({ type }) =>
      type === MessageType.confirmable ? answer : { ...content, ended },
    );
    const [left] = lab.ask(write({ type: "non", messageId: 1 }));
    lab.ask(
      write({ type: "rst", code: "0.00", token: "", messageId: left ? read(left.bytes).messageId : 0 }),
    );
    expect(told).toEqual(["reset"]);
    lab.ask(write());
    await lab.clock.advance(60);
    lab.said();
    give({ ...content, ended });
    await lab.clock.advance(100_000);
    expect(told).toEqual(["reset", "timeout"]);
  });
});

describe("RFC 7252 §4.5: duplicates", () => {
  test.each(["con", "non"] as const)(
    "TD_COAP_CORE_15: a copy of a %s gets the same bytes, and is served once",
    async (type) => {
      await using lab = createLab(() => ({ ...content, code: 0x44 }));
      const first = hexes(lab.ask(write({ type, code: "0.03", payload: "x" })));
      for (const wait of [0, 2000, 200_000]) {
        await lab.clock.advance(wait);
        expect(hexes(lab.ask(write({ type, code: "0.03", payload: "x" })))).toEqual(first);
      }
      expect(lab.served).toHaveLength(1);
      expect(lab.messaging.counts().duplicates).toBe(3);
    },
  );

  test("TD_COAP_CORE_16: a copy while the first is being served is not served, and acknowledged once the first was", async () => {
    const { answer, give } = later();
    await using lab = createLab(() => answer);
    lab.ask(write());
    expect(lab.ask(write())).toEqual([]);
    await lab.clock.advance(60);
    lab.said();
    expect(hexes(lab.ask(write()))).toEqual(["60001234"]);
    give(content);
    await lab.clock.advance(0);
    expect(lab.said()).toHaveLength(1);
    expect(hexes(lab.ask(write()))).toEqual(["60001234"]);
    expect(lab.served).toHaveLength(1);
  });

  test("copies of two requests that came under one message id are known, while both are being served", async () => {
    const { answer, give } = later();
    await using lab = createLab(() => answer);
    lab.ask(write());
    lab.ask(write({ token: "a2" }));
    lab.ask(write());
    lab.ask(write({ token: "a2" }));
    expect(lab.served).toHaveLength(2);
    give(content);
    await lab.clock.advance(0);
    expect(lab.said()).toHaveLength(2);
  });

  test("the same message id after EXCHANGE_LIFETIME, of another remote, or on another message is new", async () => {
    await using lab = createLab();
    lab.ask(write());
    lab.ask(write(), { port: 40_001 });
    lab.ask(write(), { host: "127.0.0.2" });
    lab.ask(write({ token: "a2" }));
    expect(lab.served).toHaveLength(4);
    await lab.clock.advance(248_000);
    lab.ask(write());
    expect(lab.served).toHaveLength(5);
  });

  test("a copy of what was acknowledged without a word is acknowledged again", async () => {
    await using lab = createLab(() => undefined);
    lab.ask(write());
    expect(hexes(lab.ask(write()))).toEqual(["60001234"]);
    expect(lab.served).toHaveLength(1);
  });
});
