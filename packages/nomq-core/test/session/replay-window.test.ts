import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StateChange } from "../../src/index.ts";
import { changesOf, createNoteBook } from "../../src/session/note-book.ts";
import { createReplayWindows } from "../../src/session/replay-windows.ts";

const RUNS = process.env["NOMQ_LONG"] === undefined ? 200 : 5000;
const START = 1_760_000_000;

interface Step {
  /** Seconds our clock moves on before the packet. */
  readonly wait: number;
  /** The packet's clock less ours. */
  readonly skew: number;
  readonly session: number;
  /** Repeats the packet of that many steps ago instead of making a new one. */
  readonly repeat: number | undefined;
  readonly nonce: number | undefined;
  /** Writes the state out and goes on from what was read back. */
  readonly restart: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  wait: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 }), fc.constant(7200)),
  skew: fc.oneof(fc.constant(0), fc.integer({ min: -35, max: 35 }), fc.constant(3600)),
  session: fc.integer({ min: 1, max: 3 }),
  repeat: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined, freq: 2 }),
  nonce: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined, freq: 3 }),
  restart: fc.boolean(),
});

interface Sent {
  readonly timestamp: number;
  readonly mac: number;
  readonly session: number;
  readonly nonce?: number;
}

/** What protocol.md section 7 says, with a memory that forgets nothing but sessions silent for ten minutes. */
class Oracle {
  readonly #sessions = new Map<number, { offset: number; newest: number; floor: number; seen: Sent[] }>();

  judge(sent: Sent, now: number): string {
    const session = this.#sessions.get(sent.session);
    if (session === undefined) {
      const { timestamp } = sent;
      const begun = { offset: timestamp - now, newest: timestamp, floor: 0, seen: [sent] };
      this.#sessions.set(sent.session, begun);
      return "fresh";
    }
    const recent = session.seen.filter(({ timestamp }) => timestamp > session.newest - 60);
    const known = recent.some(
      ({ mac, nonce }) => mac === sent.mac || (nonce !== undefined && nonce === sent.nonce),
    );
    if (sent.timestamp <= Math.max(session.newest - 60, session.floor) || known) return "replay";
    if (Math.abs(sent.timestamp - now - session.offset) > 30) return "stale";
    session.seen.push(sent);
    session.newest = Math.max(session.newest, sent.timestamp);
    return "fresh";
  }

  sweep(now: number): void {
    for (const session of this.#sessions.values()) {
      if (now + session.offset - session.newest <= 600) continue;
      session.floor = session.newest;
      session.seen = [];
    }
  }
}

function apply(store: Map<string, StateChange>, changes: readonly StateChange[]): void {
  for (const change of changes) {
    const key = Buffer.from(change.key).toString("latin1");
    if (change.value === undefined) store.delete(key);
    else store.set(key, change);
  }
}

function records(store: ReadonlyMap<string, StateChange>): (readonly [Uint8Array, Uint8Array])[] {
  return [...store.values()].flatMap(({ key, value }) =>
    value === undefined ? [] : [[key, value] as const],
  );
}

const limits = { sessions: 1000, packets: 1000 };

describe("a replay window", () => {
  test("judges as section 7 says, whatever comes and however often the process starts again", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const oracle = new Oracle();
        const store = new Map<string, StateChange>();
        let windows = createReplayWindows(limits);
        let now = START;
        const history: Sent[] = [];
        for (const [at, one] of steps.entries()) {
          now += one.wait;
          const old = one.repeat === undefined ? undefined : history.at(-one.repeat);
          const nonce = one.nonce === undefined ? {} : { nonce: one.nonce };
          const sent = old ?? { timestamp: now + one.skew, mac: at + 1, session: one.session, ...nonce };
          history.push(sent);
          const { session, timestamp, mac } = sent;
          const mark = sent.nonce ?? 2 ** 32 + mac;
          const judged = windows.judge(
            { timestamp, mark, keyId: "site", sessionId: session, policy: () => "any" },
            now,
          );
          expect(judged.is).toBe(oracle.judge(sent, now));
          if (judged.is === "fresh") apply(store, changesOf(judged.noted));
          apply(store, windows.sweep(now));
          oracle.sweep(now);
          if (!one.restart) continue;
          windows = createReplayWindows(limits);
          windows.restore(records(store), now);
        }
      }),
      { numRuns: RUNS, seed: 21 },
    );
  });

  test("takes no packet twice and holds no more than its limit, also when flooded", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ wait: fc.nat(2), skew: fc.integer({ min: -20, max: 20 }), back: fc.nat(30) }), {
          maxLength: 200,
        }),
        (steps) => {
          const windows = createReplayWindows({ sessions: 10, packets: 16 });
          const session = { keyId: "site", sessionId: 1 };
          const taken = new Set<number>();
          const sent: { timestamp: number; mark: number }[] = [];
          let now = START;
          for (const [at, { wait, skew, back }] of steps.entries()) {
            now += wait;
            const seen = (back > 20 ? sent.at(-back) : undefined) ?? { timestamp: now + skew, mark: at };
            sent.push(seen);
            const judged = windows.judge({ ...seen, ...session, policy: () => "any" }, now);
            if (judged.is === "fresh") expect(taken.has(seen.mark)).toBe(false);
            if (judged.is === "fresh") taken.add(seen.mark);
            expect(windows.get(session)?.held.size ?? 0).toBeLessThanOrEqual(16);
          }
        },
      ),
      { numRuns: RUNS, seed: 22 },
    );
  });

  test("of a busy session is stored by its floor: nothing comes back, and what is newer is taken", () => {
    const windows = createReplayWindows({ sessions: 10, packets: 100_000 });
    const store = new Map<string, StateChange>();
    const notes = createNoteBook();
    const packet = (at: number) => ({
      keyId: "site",
      sessionId: 1,
      timestamp: START + Math.floor(at / 100),
      mark: at,
      policy: () => "learn" as const,
    });
    for (let at = 0; at < 1000; at += 1) {
      const judged = windows.judge(packet(at), START + Math.floor(at / 100));
      if (judged.is === "fresh") notes.add(judged.noted);
    }
    expect(windows.get({ keyId: "site", sessionId: 1 })?.held.size).toBe(1000);
    apply(store, notes.take());
    expect(store.size).toBe(1);
    const next = createReplayWindows({ sessions: 10, packets: 100_000 });
    next.restore(records(store), START + 10);
    for (let at = 0; at < 1000; at += 1) expect(next.judge(packet(at), START + 10).is).toBe("replay");
    expect(next.judge(packet(1001), START + 10).is).toBe("fresh");
  });

  test("lives 28 hours and leaves nothing in the store after that", () => {
    const windows = createReplayWindows(limits);
    const store = new Map<string, StateChange>();
    for (let at = 0; at < 20; at += 1) {
      const judged = windows.judge(
        { keyId: "a/b %", sessionId: at, timestamp: START + at, mark: at, policy: () => "learn" },
        START + at,
      );
      if (judged.is === "fresh") apply(store, changesOf(judged.noted));
    }
    expect(store.size).toBe(40);
    apply(store, windows.sweep(START + 27 * 3600));
    expect(windows.size).toBe(20);
    apply(store, windows.sweep(START + 29 * 3600));
    expect(windows.size).toBe(0);
    expect(store.size).toBe(0);
  });

  test("reads back nothing from records that nobody wrote", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array(), fc.uint8Array())), (junk) => {
        const windows = createReplayWindows(limits);
        windows.restore(junk, START);
        expect(windows.size).toBe(0);
      }),
      { numRuns: RUNS, seed: 23 },
    );
  });
});

test("a session noted while our clock was years ahead is not kept for years, nor those after it", () => {
  const ahead = START + 30 * 31_556_952;
  const first = createReplayWindows({ sessions: 8, packets: 8 });
  const packet = { keyId: "k", sessionId: 1, timestamp: ahead, mark: 1, policy: () => "learn" as const };
  const judged = first.judge(packet, ahead);
  if (judged.is !== "fresh") throw new Error(judged.is);
  const records = changesOf(judged.noted).flatMap(({ key, value }): [Uint8Array, Uint8Array][] =>
    value === undefined ? [] : [[key, value]],
  );
  const windows = createReplayWindows({ sessions: 8, packets: 8 });
  windows.restore(records, START);
  windows.judge({ ...packet, sessionId: 2, timestamp: START }, START);
  windows.sweep(START + 27 * 3600);
  expect(windows.size).toBe(2);
  windows.sweep(START + 29 * 3600);
  expect(windows.size).toBe(0);
});

test("all sessions together hold no more than 16 that are full, and no packet is taken twice for that", () => {
  const windows = createReplayWindows({ sessions: 1000, packets: 64 });
  const judge = (sessionId: number, mark: number, timestamp: number): string => {
    const policy = () => "learn" as const;
    return windows.judge({ keyId: "k", sessionId, timestamp, mark, policy }, timestamp).is;
  };
  let taken = 0;
  for (let second = 0; second < 40; second += 1) {
    for (let session = 1; session <= 200; session += 1) {
      expect(judge(session, second, START + second)).toBe("fresh");
      taken += 1;
    }
  }
  const held = [...windows.all()].reduce((sum, { window }) => sum + window.held.size, 0);
  expect(taken).toBe(8000);
  expect(held).toBeLessThanOrEqual(16 * 64 + 200 * 16);
  for (let second = 0; second < 40; second += 1) {
    expect(judge(7, second, START + second)).toBe("replay");
  }
});

test("a sweep in parts lets go of the same as one at once", () => {
  const windows = createReplayWindows({ sessions: 1000, packets: 64 });
  for (let sessionId = 1; sessionId <= 100; sessionId += 1) {
    windows.judge({ keyId: "k", sessionId, timestamp: START, mark: 1, policy: () => "learn" }, START);
  }
  const held = (): number => [...windows.all()].filter(({ window }) => window.held.size > 0).length;
  windows.sweep(START + 700, 10);
  expect(windows.isSweeping).toBe(true);
  expect(held()).toBeGreaterThanOrEqual(90);
  let calls = 1;
  for (; windows.isSweeping; calls += 1) windows.sweep(START + 700, 10);
  expect(held()).toBe(0);
  expect(calls).toBeLessThanOrEqual(12);
});
