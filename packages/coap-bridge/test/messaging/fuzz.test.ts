import { createPrng } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import type { Answer } from "../../src/messaging/messaging.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { createLab, hexes, write } from "./lab.ts";

const datagrams = process.env["NOMQ_LONG"] ? 1_000_000 : 20_000;
const prng = createPrng(4711);

const whole = [
  write({ options: [[11, "61"]] }),
  write({
    code: "0.03",
    type: "non",
    options: [
      [6, ""],
      [11, "61"],
      [12, "32"],
    ],
    payload: "21.5",
  }),
  write({
    code: "0.02",
    options: [
      [27, "0e"],
      [252, "0102030405060708"],
      [258, "1a"],
    ],
    payload: "x",
  }),
  write({ code: "2.05", options: [[6, "01"]], payload: "x" }),
  write({ type: "ack", code: "0.00", token: "" }),
  write({ type: "rst", code: "0.00", token: "" }),
];

/** Random bytes, or a message with some of its bytes changed, cut or lengthened. */
function fuzzed(): Uint8Array {
  const random = (): number => prng.between(0, 255);
  if (prng.chance(0.2)) return Uint8Array.from({ length: prng.between(0, 40) }, random);
  const chosen = Uint8Array.from(whole[prng.between(0, whole.length - 1)] ?? []);
  for (let change = prng.between(0, 3); change > 0; change -= 1) {
    chosen[prng.between(0, chosen.length - 1)] = random();
  }
  // Message ids come again: duplicates, acknowledgements and resets find what they are of.
  chosen[2] = 0x12;
  chosen[3] = prng.between(0, 255);
  if (prng.chance(0.2)) return chosen.subarray(0, prng.between(0, chosen.length));
  return prng.chance(0.1) ? Uint8Array.of(...chosen, random()) : chosen;
}

function answerTo(messageId: number): Answer | undefined | Promise<Answer | undefined> {
  const answer = { code: 0x45, tail: encodeTail([], Buffer.alloc(messageId % 100)) };
  if (messageId % 7 === 0) throw new Error("bug");
  if (messageId % 5 === 0) return Promise.resolve(answer);
  return messageId % 3 === 0 ? undefined : answer;
}

describe("hostile datagrams", () => {
  test(`${datagrams} of them from 50 remotes leave it alive, answering, and with bounded memory`, async () => {
    await using lab = createLab(({ messageId }) => answerTo(messageId), { limits: { rate: 1e9 } });
    const hosts = ["127.0.0.1", "192.0.2.7", "fe80::1%eth0", "::1", "10.0.0.1"];
    for (let index = 0; index < datagrams; index += 1) {
      const host = hosts[index % hosts.length] ?? "";
      lab.ask(fuzzed(), { host, port: prng.between(0, 10), toGroup: prng.chance(0.05) });
      if (index % 500 === 0) {
        const remote = lab.remote({ host, port: 1 + (index % 10) });
        const outgoing = { type: index % 1000 === 0 ? 0 : 1, code: 0x45, token: Uint8Array.of(1) } as const;
        lab.messaging.send(
          remote,
          () => outgoing,
          () => undefined,
        );
        await lab.clock.advance(prng.between(0, 4000));
        lab.socket.taken();
        lab.served.length = 0;
      }
    }
    expect(lab.messaging.counts().remotes).toBeLessThanOrEqual(50);
    expect(lab.messaging.counts().malformed).toBeGreaterThan(datagrams / 10);
    const from = { port: 50_000 };
    expect(hexes(lab.ask(Buffer.from("4000beef", "hex"), from))).toEqual(["7000beef"]);
    expect(hexes(lab.ask(write({ messageId: 1 }), from))).toEqual([`61450001a1ff00`]);
    expect(hexes(lab.ask(write({ messageId: 1 }), from))).toEqual([`61450001a1ff00`]);
  });
});
