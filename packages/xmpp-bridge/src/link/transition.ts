import type { StreamEnd } from "../stream/stream-end.ts";
import type { LinkTimes } from "./options.ts";

/** Where the supervisor stands. Times are the clock's monotonic milliseconds. */
export type Phase =
  | { readonly is: "idle" }
  | { readonly is: "connecting"; readonly failures: number }
  | { readonly is: "online"; readonly failures: number; readonly upAt: number }
  | { readonly is: "waiting"; readonly failures: number; readonly end: StreamEnd; readonly delayMs: number }
  /** A farewell is under way. */
  | { readonly is: "closing" }
  | { readonly is: "closed" };

/** What may happen. */
export type LinkInput =
  | { readonly is: "start" }
  | { readonly is: "online" }
  | { readonly is: "ended"; readonly end: StreamEnd }
  | { readonly is: "due" }
  | { readonly is: "stop" };

/** What is to be done. */
export type LinkEffect = "connect" | "wait" | "stop-waiting" | "close-stream";

/** What a step looks at besides: the time, a number from 0 to below 1, and the delays. */
export interface Surroundings {
  readonly now: number;
  readonly random: number;
  readonly times: Pick<LinkTimes, "firstDelayMs" | "longestDelayMs" | "fatalDelayMs" | "stableMs">;
}

/** A step: where the supervisor stands after it, and what is to be done. */
export interface Step {
  readonly phase: Phase;
  readonly effects: readonly LinkEffect[];
}

/** Every step of a link. What cannot happen in a phase changes nothing. */
export function step(phase: Phase, input: LinkInput, around: Surroundings): Step {
  switch (input.is) {
    case "start":
      return phase.is === "idle"
        ? { phase: { is: "connecting", failures: 0 }, effects: ["connect"] }
        : stay(phase);
    case "online":
      return phase.is === "connecting"
        ? { phase: { is: "online", failures: phase.failures, upAt: around.now }, effects: [] }
        : stay(phase);
    case "due":
      return phase.is === "waiting"
        ? { phase: { is: "connecting", failures: phase.failures }, effects: ["connect"] }
        : stay(phase);
    case "ended":
      return ended(phase, input.end, around);
    case "stop":
      return stopped(phase);
  }
}

function ended(phase: Phase, end: StreamEnd, around: Surroundings): Step {
  switch (phase.is) {
    case "connecting":
      return wait(phase.failures, end, around);
    case "online":
      return wait(around.now - phase.upAt >= around.times.stableMs ? 0 : phase.failures, end, around);
    case "closing":
      return { phase: { is: "closed" }, effects: [] };
    case "idle":
    case "waiting":
    case "closed":
      return stay(phase);
  }
}

function stopped(phase: Phase): Step {
  switch (phase.is) {
    case "idle":
      return { phase: { is: "closed" }, effects: [] };
    case "waiting":
      return { phase: { is: "closed" }, effects: ["stop-waiting"] };
    case "connecting":
    case "online":
      return { phase: { is: "closing" }, effects: ["close-stream"] };
    case "closing":
    case "closed":
      return stay(phase);
  }
}

/** Exponential, spread over half of each delay so that many gateways do not come back at once. */
function wait(failures: number, end: StreamEnd, { random, times }: Surroundings): Step {
  const most = end.fatal
    ? times.fatalDelayMs
    : Math.min(times.longestDelayMs, times.firstDelayMs * 2 ** Math.min(failures, 30));
  const delayMs = most * (0.5 + random * 0.5);
  return { phase: { is: "waiting", failures: failures + 1, end, delayMs }, effects: ["wait"] };
}

const stay = (phase: Phase): Step => ({ phase, effects: [] });
