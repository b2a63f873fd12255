import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ReceiveInput, type ReceiveState, stepReceiver } from "../../src/session/receiver.ts";
import { type SendInput, type SendPlan, type SendState, stepSender } from "../../src/session/sender.ts";

const RUNS = process.env["NOMQ_LONG"] === undefined ? 500 : 20_000;

const kind = fc.constantFrom("device" as const, "node" as const);

describe("a transfer on its way out", () => {
  const plan: fc.Arbitrary<SendPlan> = fc.record(
    {
      qos: fc.constantFrom(1 as const, 2 as const),
      deadline: fc.integer({ min: 0, max: 60_000 }),
      attempts: fc.integer({ min: 1, max: 8 }),
    },
    { requiredKeys: ["qos", "attempts"] },
  );
  const reply = fc.constantFrom("ACK" as const, "PUBREC" as const, "PUBCOMP" as const);
  const event = fc.oneof(
    { weight: 4, arbitrary: fc.constant("due" as const) },
    { weight: 1, arbitrary: reply },
    { weight: 1, arbitrary: fc.constant("abort" as const) },
    { weight: 1, arbitrary: fc.constant("heard" as const) },
  );
  const events = fc.array(fc.tuple(event, fc.integer({ min: 0, max: 4000 })), { maxLength: 60 });

  interface Run {
    readonly state: SendState;
    readonly sends: { readonly at: number; readonly bytes: "fresh" | "again" }[];
    readonly replies: string[];
    readonly now: number;
  }

  function run(
    plan: SendPlan,
    peer: "device" | "node",
    happens: readonly (readonly [string, number])[],
  ): Run {
    let state: SendState = { is: "waiting" };
    let now = 0;
    const sends: Run["sends"] = [];
    const replies: string[] = [];
    for (const [what, wait] of happens) {
      now += wait;
      if (state.is === "done") break;
      const input: SendInput =
        what === "due"
          ? { on: "due", now, jitter: 0.5, kind: peer }
          : what === "abort"
            ? { on: "abort", kind: peer }
            : what === "heard"
              ? { on: "heard", now }
              : { on: "reply", type: what as "ACK" | "PUBREC" | "PUBCOMP", now, jitter: 0.5 };
      if (input.on === "reply") replies.push(input.type);
      const step = stepSender(plan, state, input);
      if (step.effect?.send === "message") sends.push({ at: now, bytes: step.effect.bytes });
      state = step.state;
    }
    return { state, sends, replies, now };
  }

  test("ends `delivered` only after the answer that says so", () => {
    fc.assert(
      fc.property(plan, kind, events, (so, peer, happens) => {
        const { state, replies, sends } = run(so, peer, happens);
        if (state.is !== "done" || state.outcome.is !== "delivered") return;
        expect(sends.length).toBeGreaterThan(0);
        expect(replies).toContain(so.qos === 1 ? "ACK" : "PUBREC");
      }),
      { numRuns: RUNS, seed: 31 },
    );
  });

  test("sends nothing at or after its deadline, and never more often than its attempts allow", () => {
    fc.assert(
      fc.property(plan, kind, events, (so, peer, happens) => {
        const { sends } = run(so, peer, happens);
        for (const { at } of sends) expect(at).toBeLessThan(so.deadline ?? Number.POSITIVE_INFINITY);
        if (so.qos === 1 || peer === "node") expect(sends.length).toBeLessThanOrEqual(so.attempts);
      }),
      { numRuns: RUNS, seed: 32 },
    );
  });

  test("QoS 2 to a device repeats identical bytes only, within 20 s, and is never `expired` once sent", () => {
    fc.assert(
      fc.property(plan, events, (so, happens) => {
        const { state, sends } = run({ ...so, qos: 2 }, "device", happens);
        const first = sends[0]?.at ?? 0;
        for (const { at, bytes } of sends) {
          expect(bytes).toBe("again");
          expect(at - first).toBeLessThan(20_000);
        }
        if (state.is !== "done" || sends.length === 0) return;
        expect(["delivered", "uncertain"]).toContain(state.outcome.is);
      }),
      { numRuns: RUNS, seed: 33 },
    );
  });

  test("waits longer after every send", () => {
    let state: SendState = { is: "waiting" };
    const waits: number[] = [];
    let now = 0;
    const so: SendPlan = { qos: 1, attempts: 8 };
    for (;;) {
      const step = stepSender(so, state, { on: "due", now, jitter: 0, kind: "node" });
      state = step.state;
      if (state.is !== "publishing") break;
      waits.push(state.dueAt - now);
      now = state.dueAt;
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("always ends when nothing is ever answered", () => {
    fc.assert(
      fc.property(plan, kind, (so, peer) => {
        const endless = Array.from({ length: 60 }, () => ["due", 31_000] as const);
        expect(run(so, peer, endless).state.is).toBe("done");
      }),
      { numRuns: 100, seed: 34 },
    );
  });
});

describe("a transfer on its way in", () => {
  const happening = fc.constantFrom("publish", "identical", "accept", "refuse", "PUBREL");

  test("is handed over once unless refused, answered only when taken, and identical bytes at most 8 times", () => {
    const qos = fc.constantFrom(1 as const, 2 as const);
    fc.assert(
      fc.property(qos, fc.array(happening, { maxLength: 60 }), (level, happens) => {
        let state: ReceiveState | undefined;
        let handed = 0;
        let refused = 0;
        let taken = false;
        let repeats = 0;
        for (const what of happens) {
          const input: ReceiveInput =
            what === "publish"
              ? { on: "publish", qos: level, now: 0 }
              : what === "identical"
                ? { on: "identical", now: 0 }
                : what === "PUBREL"
                  ? { on: "PUBREL" }
                  : { on: "verdict", accepted: what === "accept" };
          const was = state?.is;
          const step = stepReceiver(state, input);
          if (step === undefined) continue;
          state = step.state;
          if (was === "handing" && what === "accept") taken = true;
          if (was === "handing" && what === "refuse") refused += 1;
          if (step.effect === undefined) continue;
          if ("hand" in step.effect) handed += 1;
          else expect(taken).toBe(true);
          if (what === "identical") repeats += 1;
        }
        expect(handed).toBeLessThanOrEqual(refused + 1);
        expect(repeats).toBeLessThanOrEqual(8);
      }),
      { numRuns: RUNS, seed: 35 },
    );
  });
});
