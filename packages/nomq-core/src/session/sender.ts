import type { PeerKind } from "./peer-kind.ts";

/** What a transfer is to be, fixed when it begins. Times are milliseconds of one monotonic clock. */
export interface SendPlan {
  readonly qos: 1 | 2;
  /** No datagram with the message leaves at or after this time. Absent: no expiry. */
  readonly deadline?: number;
  /** Sends of the message before it is `unanswered`. */
  readonly attempts: number;
}

/**
 * A transfer on its way.
 *
 * - `publishing`: the message was sent `attempt` times and has no answer.
 * - `releasing`: the peer has the message (PUBREC); PUBREL was sent `attempt` times.
 */
export type SendState =
  | { readonly is: "waiting" }
  | {
      readonly is: "publishing";
      readonly attempt: number;
      readonly firstAt: number;
      readonly dueAt: number;
      /** When the last send left. */
      readonly sentAt: number;
    }
  | { readonly is: "releasing"; readonly attempt: number; readonly dueAt: number }
  | { readonly is: "done"; readonly outcome: SendOutcome };

/** The end of a transfer. */
export type SendOutcome =
  | { readonly is: "delivered" | "expired" }
  | { readonly is: "uncertain" | "unanswered"; readonly reason: string };

/** What happens to a transfer. `kind` is what is known of the peer at that moment. */
export type SendInput =
  /** The peer's turn has come, or `dueAt` is reached. `jitter` is random in 0 to 1. */
  | { readonly on: "due"; readonly now: number; readonly jitter: number; readonly kind: PeerKind }
  | {
      readonly on: "reply";
      readonly type: "ACK" | "PUBREC" | "PUBCOMP";
      readonly now: number;
      readonly jitter: number;
    }
  /** The peer was away and is there again: what it may have missed need not wait for its turn in the back-off. */
  | { readonly on: "heard"; readonly now: number }
  | { readonly on: "abort"; readonly kind: PeerKind };

/** What the driver does next. */
export type SendEffect =
  /** `again` sends the identical bytes of the first send, `fresh` seals anew with another nonce and the time of now. */
  { readonly send: "message"; readonly bytes: "fresh" | "again" } | { readonly send: "PUBREL" };

/** Result of {@link stepSender}. */
export interface SendStep {
  readonly state: SendState;
  readonly effect?: SendEffect;
}

/** First wait for an answer. A device answers within 0.3 s; doubled at every send, at most {@link LONGEST_WAIT_MS}. */
export const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/**
 * A device takes identical bytes until its clock has moved 30 s from their stamp; beyond 20 s it might not, and a
 * fresh nonce would deliver twice (protocol.md section 10.4).
 */
const IDENTICAL_BYTES_MS = 20_000;
/** The message has arrived when PUBREL goes out; a device may never answer it (protocol.md section 10.4). */
const RELEASES: Readonly<Record<PeerKind, number>> = { device: 2, node: 4 };

/** The one transition of a transfer at QoS 1 or 2. Never called with a state that is `done`. */
export function stepSender(plan: SendPlan, state: SendState, input: SendInput): SendStep {
  switch (input.on) {
    case "due":
      return due(plan, state, input);
    case "reply":
      return answered(plan, state, input);
    case "heard":
      return { state: hurried(plan, state, input.now) };
    case "abort":
      return done(abandoned(plan, state, { kind: input.kind, reason: "aborted" }));
  }
}

type Due = Extract<SendInput, { on: "due" }>;

function due(plan: SendPlan, state: SendState, input: Due): SendStep {
  switch (state.is) {
    case "waiting":
      if (plan.deadline !== undefined && input.now >= plan.deadline) return done({ is: "expired" });
      return sendMessage(plan, { attempt: 0, firstAt: input.now }, input);
    case "publishing":
      return input.now < state.dueAt ? { state } : repeat(plan, state, input);
    case "releasing":
      if (input.now < state.dueAt) return { state };
      if (state.attempt >= RELEASES[input.kind]) return done({ is: "delivered" });
      return release(state.attempt, input);
    case "done":
      return { state };
  }
}

/** Its last send is left its full wait, or it would end as unanswered at the moment its peer came back. */
function hurried(plan: SendPlan, state: SendState, now: number): SendState {
  if (state.is !== "publishing" || state.attempt >= plan.attempts) return state;
  const soonest = Math.max(now, state.sentAt + FIRST_WAIT_MS);
  return soonest < state.dueAt ? { ...state, dueAt: soonest } : state;
}

function repeat(plan: SendPlan, state: Extract<SendState, { is: "publishing" }>, input: Due): SendStep {
  const lateForDevice = plan.qos === 2 && input.kind === "device";
  if (lateForDevice && input.now - state.firstAt >= IDENTICAL_BYTES_MS) {
    return done({ is: "uncertain", reason: "no PUBREC" });
  }
  if (plan.deadline !== undefined && input.now >= plan.deadline) {
    return done(plan.qos === 2 ? { is: "uncertain", reason: "no PUBREC" } : { is: "expired" });
  }
  if (!lateForDevice && state.attempt >= plan.attempts)
    return done(abandoned(plan, state, { kind: input.kind, reason: "no-answer" }));
  return sendMessage(plan, state, input);
}

function sendMessage(plan: SendPlan, so: { attempt: number; firstAt: number }, input: Due): SendStep {
  const { now } = input;
  const attempt = so.attempt + 1;
  const frozen = plan.qos === 2 && input.kind === "device";
  const ends = Math.min(
    plan.deadline === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(plan.deadline, so.firstAt + FIRST_WAIT_MS),
    frozen ? so.firstAt + IDENTICAL_BYTES_MS : Number.POSITIVE_INFINITY,
  );
  const dueAt = Math.min(now + wait(attempt, input.jitter), ends);
  return {
    state: { is: "publishing", attempt, firstAt: so.firstAt, dueAt, sentAt: now },
    effect: { send: "message", bytes: frozen ? "again" : "fresh" },
  };
}

function answered(plan: SendPlan, state: SendState, input: Extract<SendInput, { on: "reply" }>): SendStep {
  if (state.is === "publishing") {
    if (plan.qos === 1 && input.type === "ACK") return done({ is: "delivered" });
    if (plan.qos === 2 && input.type === "PUBREC") return release(0, input);
  }
  if (state.is === "releasing") {
    if (input.type === "PUBCOMP") return done({ is: "delivered" });
    // A node repeats PUBREC when it has not seen PUBREL.
    if (input.type === "PUBREC") return { state, effect: { send: "PUBREL" } };
  }
  return { state };
}

function release(released: number, input: { now: number; jitter: number }): SendStep {
  const attempt = released + 1;
  const state: SendState = { is: "releasing", attempt, dueAt: input.now + wait(attempt, input.jitter) };
  return { state, effect: { send: "PUBREL" } };
}

function abandoned(plan: SendPlan, state: SendState, why: { kind: PeerKind; reason: string }): SendOutcome {
  if (state.is === "releasing") return { is: "delivered" };
  // To a node the transfer can be continued under its packet id; a device would take a new try for a new message.
  const twice = plan.qos === 2 && why.kind === "device" && state.is === "publishing";
  return { is: twice ? "uncertain" : "unanswered", reason: why.reason };
}

function wait(attempt: number, jitter: number): number {
  const base = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS);
  // Between 1 and 1.5 times, so that peers that failed together do not return together (as RFC 7252 section 4.2).
  return base * (1 + jitter / 2);
}

function done(outcome: SendOutcome): SendStep {
  return { state: { is: "done", outcome } };
}
