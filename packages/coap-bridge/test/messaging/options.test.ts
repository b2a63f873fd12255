import { describe, expect, test } from "vitest";
import type { Answer } from "../../src/messaging/messaging.ts";
import { MessageType } from "../../src/wire/coap-message.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { createLab, empty, hexes, read, type Written, write } from "./lab.ts";

const content: Answer = { code: 0x45, tail: encodeTail([], Buffer.from("x")) };

describe("RFC 7252 §5.4, §5.10: options of requests", () => {
  test.each<readonly [string, NonNullable<Written["options"]>]>([
    ["§5.4.1: an unknown critical option", [[2049, "00"]]],
    ["OSCORE, which is not spoken here", [[9, "00"]]],
    [
      "§5.4.5: Accept twice",
      [
        [17, "32"],
        [17, "00"],
      ],
    ],
    ["§5.4.3: Accept with three bytes", [[17, "000000"]]],
    ["§5.4.3: If-None-Match with a value", [[5, "01"]]],
  ])(
    "%s in a CON is 4.02 and says which, in a NON is rejected; neither is served",
    async (_what, options) => {
      await using lab = createLab();
      const [left] = lab.ask(write({ options }));
      const said = left && read(left.bytes);
      expect(said).toMatchObject({ code: 0x82, messageId: 0x1234 });
      expect(Buffer.from(said?.payload ?? []).toString()).toContain(`option ${options.at(-1)?.[0]}`);
      // Kept beside the request it answers: in a flood of these none has an array of its own.
      expect(said?.payload.length).toBeLessThan(20);
      expect(hexes(lab.ask(write({ options, type: "non", messageId: 7 })))).toEqual(["70000007"]);
      expect(lab.served).toEqual([]);
      expect(lab.messaging.counts().badOptions).toBe(2);
    },
  );

  test.each<readonly [string, NonNullable<Written["options"]>]>([
    ["§5.10.2: Proxy-Uri", [[35, Buffer.from("coap://a/b").toString("hex")]]],
    ["§5.10.2: Proxy-Scheme", [[39, Buffer.from("http").toString("hex")]]],
    [
      "Proxy-Scheme twice",
      [
        [39, "61"],
        [39, "61"],
      ],
    ],
  ])("%s is 5.05: this is no proxy", async (_what, options) => {
    await using lab = createLab();
    const [left] = lab.ask(write({ options }));
    expect(left && read(left.bytes).code).toBe(0xa5);
    expect(lab.served).toEqual([]);
  });

  test("§5.4.1: unknown elective options, one too many, and Observe in a PUT hinder nothing", async () => {
    await using lab = createLab();
    const options = [
      [6, ""],
      [11, "61"],
      [12, "32"],
      [12, "00"],
      [14, "0000000000"],
      [2050, "00"],
    ] as const;
    lab.ask(write({ code: "0.03", options: [...options] }));
    expect(lab.served[0]?.options.map(({ number }) => number)).toEqual([6, 11, 12]);
  });

  test("RFC 8768: Hop-Limit means nothing to where the request ends", async () => {
    await using lab = createLab();
    for (const [at, value] of ["01", "ff", "00", "0101"].entries()) {
      expect(lab.ask(write({ messageId: at, options: [[16, value]] }))).toHaveLength(1);
    }
    expect(lab.served).toHaveLength(4);
  });

  test("TD_COAP_CORE_13, 14: several Uri-Path and Uri-Query options arrive in order, one each", async () => {
    await using lab = createLab();
    lab.ask(
      write({
        options: [
          [11, "61"],
          [11, ""],
          [11, "622f63"],
          [15, "613d31"],
          [15, "62"],
        ],
      }),
    );
    expect(
      lab.served[0]?.options.map(({ number, value }) => [number, Buffer.from(value).toString()]),
    ).toEqual([
      [11, "a"],
      [11, ""],
      [11, "b/c"],
      [15, "a=1"],
      [15, "b"],
    ]);
  });
});

describe("RFC 7967 §2: No-Response", () => {
  test.each([
    ["02", 0x44, false],
    ["02", 0x84, true],
    ["08", 0x84, false],
    ["10", 0xa3, false],
    ["1a", 0x44, false],
    ["18", 0x44, true],
    ["", 0x84, true],
  ])("value %s and code %d: said %s", async (value, code, said) => {
    await using lab = createLab(() => ({ code }));
    const options: Written["options"] = [[258, value]];
    expect(lab.ask(write({ type: "non", code: "0.03", options }))).toHaveLength(said ? 1 : 0);
    const confirmable = hexes(lab.ask(write({ code: "0.03", messageId: 5, options })));
    expect(confirmable).toEqual([said ? `61${code.toString(16)}0005a1` : "60000005"]);
    expect(lab.served).toHaveLength(2);
  });

  test("what a client does not want to hear is not said to its copies either", async () => {
    await using lab = createLab(() => ({ code: 0x44 }));
    const silent = write({ type: "non", code: "0.03", options: [[258, "02"]] });
    expect([...lab.ask(silent), ...lab.ask(silent)]).toEqual([]);
    expect(lab.served).toHaveLength(1);
  });
});

describe("RFC 7252 §8.2: requests to a group", () => {
  test("are answered by a NON after a leisure of up to 5 s", async () => {
    await using lab = createLab(() => content);
    const ports = Array.from({ length: 20 }, (_, at) => 40_000 + at);
    for (const port of ports) expect(lab.ask(write({ type: "non" }), { port, toGroup: true })).toEqual([]);
    const times: number[] = [];
    for (let now = 0; now < 5100; now += 100) {
      await lab.clock.advance(100);
      times.push(...lab.said().map(() => now));
    }
    expect(times).toHaveLength(20);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2000);
  });

  test.each<readonly [string, Answer]>([
    ["an error", { code: 0x84 }],
    ["an answer with nothing in it", { code: 0x45 }],
    ["an answer without a payload", { code: 0x45, tail: Uint8Array.of(0xc1, 40) }],
  ])("%s is not said", async (_what, answer) => {
    await using lab = createLab(() => answer);
    lab.ask(write({ type: "non" }), { toGroup: true });
    await lab.clock.advance(10_000);
    expect(lab.said()).toEqual([]);
  });

  test("RFC 7967 §2.1: an error is said to who asks for it, and content is not to who does not want it", async () => {
    await using lab = createLab(({ messageId }) => (messageId === 1 ? { code: 0x84 } : content));
    lab.ask(write({ type: "non", messageId: 1, options: [[258, "02"]] }), { toGroup: true });
    lab.ask(write({ type: "non", messageId: 2, options: [[258, "02"]] }), { toGroup: true });
    await lab.clock.advance(10_000);
    expect(lab.said()).toMatchObject([{ code: 0x84 }]);
  });

  test("§8.1: CON, ping, wrong format and unknown options to a group get silence", async () => {
    await using lab = createLab(() => content);
    const toGroup = { toGroup: true };
    const wrong = Buffer.from("4901123401020304050607080 9".replace(" ", ""), "hex");
    for (const datagram of [write(), Buffer.from("4000beef", "hex"), wrong])
      lab.socket.arrive(datagram, toGroup);
    lab.socket.arrive(write({ type: "non", options: [[2049, ""]] }), toGroup);
    await lab.clock.advance(10_000);
    expect(lab.said()).toEqual([]);
    expect(lab.served).toEqual([]);
  });

  test("a copy within the leisure is answered once", async () => {
    await using lab = createLab(() => content);
    lab.ask(write({ type: "non" }), { toGroup: true });
    lab.ask(write({ type: "non" }), { toGroup: true });
    await lab.clock.advance(10_000);
    expect(lab.said()).toHaveLength(1);
  });
});

describe("RFC 8516, RFC 7252 §5.9: limits", () => {
  const never = (): Promise<Answer> => Promise.withResolvers<Answer>().promise;

  test("more requests of one remote at once than it may have: 4.29 with Max-Age; others are served", async () => {
    await using lab = createLab(never, { limits: { underWay: 2 } });
    for (const messageId of [1, 2]) expect(lab.ask(write({ messageId }))).toEqual([]);
    expect(hexes(lab.ask(write({ messageId: 3 })))).toEqual(["619d0003a1d10101"]);
    expect(lab.ask(write({ messageId: 3 }), { port: 40_001 })).toEqual([]);
    expect(lab.served).toHaveLength(3);
    expect(lab.messaging.counts().limited).toBe(1);
  });

  test("RFC 7252 §5.2.2: a separate answer is under way until somebody has it: who acknowledges none has no more of them wait", async () => {
    const slow = async () => {
      await new Promise<void>((resolve) => lab.clock.after(60, resolve));
      return { code: 0x45 };
    };
    await using lab = createLab(slow, { limits: { underWay: 2 } });
    lab.ask(write({ messageId: 1 }));
    await lab.clock.advance(70);
    const separate = lab.said().find(({ type }) => type === MessageType.confirmable);
    lab.ask(write({ messageId: 2 }));
    await lab.clock.advance(70);
    lab.said();
    expect(lab.ask(write({ messageId: 3 })).map(({ bytes }) => read(bytes).code)).toEqual([0x9d]);
    expect(lab.served).toHaveLength(2);
    lab.ask(empty("ack", separate?.messageId));
    lab.ask(write({ messageId: 4 }));
    expect(lab.served).toHaveLength(3);
  });

  test("more than all may have: 5.03 with Max-Age", async () => {
    await using lab = createLab(never, { limits: { underWayInAll: 1 } });
    lab.ask(write());
    expect(hexes(lab.ask(write(), { port: 40_001 }))).toEqual(["61a31234a1d10105"]);
  });

  test("RFC 7252 §8.2: requests to a group, whose answers wait for seconds, leave the places of others alone, and are bounded", async () => {
    await using lab = createLab(async () => content, { limits: { underWayInAll: 2 } });
    for (let port = 1; port <= 600; port += 1)
      lab.ask(write({ type: "non", messageId: port }), { port, toGroup: true });
    expect(lab.served).toHaveLength(512);
    lab.ask(write());
    await lab.clock.advance(0);
    expect(lab.said().map(({ code }) => code)).toEqual([0x45]);
    await lab.clock.advance(5_100);
    lab.ask(write({ type: "non" }), { toGroup: true });
    expect(lab.served).toHaveLength(514);
  });

  test("more requests a second of one address than it may make: 4.29, until a second has passed", async () => {
    await using lab = createLab(undefined, { limits: { rate: 10, burst: 10 } });
    const from = { host: "192.0.2.7" };
    const codes = (count: number, first: number): number[] =>
      Array.from({ length: count }, (_, at) => lab.ask(write({ messageId: first + at }), from))
        .flat()
        .map(({ bytes }) => read(bytes).code);
    expect(codes(12, 0)).toEqual([...Array(10).fill(0x45), 0x9d, 0x9d]);
    await lab.clock.advance(1000);
    expect(codes(11, 20)).toEqual([...Array(10).fill(0x45), 0x9d]);
    // A program on this machine harms nobody but its own.
    const own = Array.from({ length: 30 }, (_, at) => lab.ask(write({ messageId: at }), { port: 7 })).flat();
    expect(own.every(({ bytes }) => read(bytes).code === 0x45)).toBe(true);
  });
});
