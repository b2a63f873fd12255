import { createFakeClock } from "@nomq/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnsweredRequests, Said } from "../../src/messaging/answered-requests.ts";
import { Answers } from "../../src/messaging/answers.ts";
import type { Peer } from "../../src/messaging/peer.ts";
import { PeerTable } from "../../src/messaging/peer-table.ts";
import { SentMemory } from "../../src/messaging/sent-memory.ts";
import { TimingWheel, WheelTimer } from "../../src/messaging/timing-wheel.ts";
import { createArraySocket, hex } from "./lab.ts";

const socket = createArraySocket();
const runs = process.env["NOMQ_LONG"] ? 2000 : 100;

function peersOf(most: number): PeerTable {
  return new PeerTable({ random: () => 0, isTrusted: () => false, most });
}

function peerAt(table: PeerTable, port: number): Peer {
  const peer = table.get(socket, "192.0.2.7", port);
  if (peer === undefined) throw new Error("no room");
  return peer;
}

const said = (code: number, tail?: Uint8Array) => ({
  said: Said.piggybacked,
  code,
  token: Uint8Array.of(code),
  messageId: code,
  tail,
});

describe("answered requests", () => {
  test("the newest are found with their answers, however many came; older ones than room is for are not", () => {
    const table = peersOf(10);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(40), fc.nat(1)), { maxLength: 200 }), (all) => {
        const answered = new AnsweredRequests(64);
        const model: { key: string; code: number }[] = [];
        for (const [index, [port, messageId, fingerprint]] of all.entries()) {
          const one = { peer: peerAt(table, port + 1), messageId, fingerprint };
          const key = `${port} ${messageId} ${fingerprint}`;
          const known = model.slice(-64).findLast((each) => each.key === key);
          const at = answered.find(one, index);
          expect(at === -1 ? undefined : answered.answer(at).code).toBe(known?.code);
          const code = index & 0xff;
          answered.add(one, said(code), index);
          model.push({ key, code });
          expect(answered.answer(answered.find(one, index)).token).toEqual(Uint8Array.of(code));
        }
      }),
      { numRuns: runs },
    );
  });

  test("one of a remote that was forgotten is not taken for one of its successor", () => {
    const table = peersOf(1);
    const answered = new AnsweredRequests();
    const old = peerAt(table, 1);
    answered.add({ peer: old, messageId: 5, fingerprint: 9 }, said(1), 0);
    const successor = peerAt(table, 2);
    expect(successor.slot).toBe(old.slot);
    expect(answered.find({ peer: successor, messageId: 5, fingerprint: 9 }, 0)).toBe(-1);
  });

  test("tails are let go, the oldest first, when they are too many bytes", () => {
    const table = peersOf(1);
    const answered = new AnsweredRequests(1000, 10 * (256 + 21));
    const peer = peerAt(table, 1);
    for (let messageId = 0; messageId < 20; messageId += 1) {
      answered.add({ peer, messageId, fingerprint: 0 }, said(1, new Uint8Array(21)), 0);
    }
    const letGo = Array.from({ length: 20 }, (_, messageId) => {
      return answered.answer(answered.find({ peer, messageId, fingerprint: 0 }, 0)).tailWasLetGo;
    });
    expect(letGo).toEqual([...Array(10).fill(true), ...Array(10).fill(false)]);
  });

  test("short tails are copied, and long ones kept, whatever their order and however often the ring grows", () => {
    const peer = peerAt(peersOf(1), 1);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 3000, size: "max" }), (tails) => {
        const answered = new AnsweredRequests(2500);
        const given = tails.map((tail) => Uint8Array.from(tail));
        given.forEach((tail, messageId) => {
          answered.add({ peer, messageId, fingerprint: 0 }, said(1, tail), 0);
          // Who gave it may use its bytes for something else, where they are few.
          if (tail.length <= 20) tail.fill(0xee);
        });
        for (let at = Math.max(0, tails.length - 2500); at < tails.length; at += 1) {
          const found = answered.answer(answered.find({ peer, messageId: at, fingerprint: 0 }, 0));
          expect(Buffer.from(found.tail ?? [])).toEqual(Buffer.from(tails[at] ?? []));
          expect(found.tailWasLetGo).toBe(false);
        }
      }),
      { numRuns: runs / 10 },
    );
  });
});

describe("what was said", () => {
  test("without its tail, a copy of a GET is served again and a copy of a PUT gets the code again", () => {
    const answered = new AnsweredRequests(10, 0);
    const answers = new Answers({ answered, sent: new SentMemory(), now: () => 0 });
    const peer = peerAt(peersOf(1), 1);
    peer.proven = true;
    const tail = new Uint8Array(21);
    answered.add({ peer, messageId: 5, fingerprint: 0 }, said(0x45, tail), 0);
    const at = answered.find({ peer, messageId: 5, fingerprint: 0 }, 0);
    expect(answers.repeat(peer, 5, { at, code: 1 })).toBe(false);
    expect(socket.taken()).toEqual([]);
    expect(answers.repeat(peer, 5, { at, code: 3 })).toBe(true);
    expect(socket.taken().map(({ bytes }) => hex(bytes))).toEqual(["6145000545"]);
  });

  test("a NON of ours is not that of a remote that has the slot now", () => {
    const table = peersOf(1);
    const sent = new SentMemory();
    const old = peerAt(table, 1);
    sent.add(5, { peer: old, ended: () => undefined }, 0);
    const successor = peerAt(table, 2);
    expect(successor.slot).toBe(old.slot);
    expect(sent.take(successor, 5)).toBeUndefined();
    expect(sent.take(old, 5)?.peer).toBe(old);
    expect(sent.take(old, 5)).toBeUndefined();
  });
});

describe("remotes", () => {
  test("are as many as there is room for; one that is in use is never forgotten", () => {
    const table = peersOf(100);
    const held = peerAt(table, 1);
    held.pins = 1;
    for (let port = 2; port <= 5000; port += 1) peerAt(table, port);
    expect(table.size).toBe(100);
    expect(table.get(socket, "192.0.2.7", 1)).toBe(held);
    expect(held.forgotten).toBe(false);
  });

  test("proven ones are kept when strangers flood in", () => {
    const table = peersOf(100);
    const known = peerAt(table, 1);
    known.proven = true;
    known.seenAt = 1;
    for (let port = 2; port <= 5000; port += 1) peerAt(table, port);
    expect(known.forgotten).toBe(false);
  });

  test("where all are in use, a new one gets nothing", () => {
    const table = peersOf(3);
    for (const port of [1, 2, 3]) peerAt(table, port).pins = 1;
    expect(table.get(socket, "192.0.2.7", 4)).toBeUndefined();
  });

  test("slots of those known at once differ, also of several addresses", () => {
    const table = peersOf(64);
    const slots = new Set<number>();
    for (let index = 0; index < 1000; index += 1) {
      table.get(socket, `192.0.2.${index % 200}`, 1 + (index % 7));
    }
    for (const peer of table.values()) slots.add(peer.slot);
    expect(slots.size).toBe(table.size);
    expect(Math.max(...slots)).toBeLessThan(64);
  });
});

describe("the timing wheel", () => {
  class Probe extends WheelTimer {
    readonly fire: () => void;
    constructor(fire: () => void) {
      super();
      this.fire = fire;
    }
  }

  test("fires each timer once, never early and at most a tick late, whatever is armed, re-armed and disarmed", async () => {
    const step = fc.record({
      timer: fc.nat(5),
      ms: fc.oneof(fc.nat(30), fc.nat(6000), fc.nat(200_000)),
      disarm: fc.boolean(),
      wait: fc.oneof(fc.constant(0), fc.nat(3000), fc.nat(60_000)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const clock = createFakeClock(0, async () => undefined);
        const wheel = new TimingWheel(clock);
        const due = new Map<number, number>();
        const timers = Array.from({ length: 6 }, (_, index) => {
          return new Probe(() => {
            const late = clock.monotonic() - (due.get(index) ?? Number.NaN);
            expect(late).toBeGreaterThanOrEqual(0);
            expect(late).toBeLessThanOrEqual(20);
            due.delete(index);
          });
        });
        for (const { timer: index, ms, disarm, wait } of steps) {
          const timer = timers[index];
          if (timer === undefined) continue;
          if (disarm) {
            wheel.disarm(timer);
            due.delete(index);
          } else {
            wheel.arm(timer, ms);
            due.set(index, clock.monotonic() + ms);
          }
          await clock.advance(wait);
        }
        await clock.advance(300_000);
        expect([...due]).toEqual([]);
        expect(clock.pending()).toBe(0);
      }),
      { numRuns: runs },
    );
  });
});
