/**
 * How a sensor's value stands. `waiting`: none has come in this run. `fresh`: it holds. `stale`: its Max-Age is over, or
 * the sensor does not answer. `gone`: the sensor says that there is no such resource.
 */
export type Freshness = "waiting" | "fresh" | "stale" | "gone";

/** Reason of a `stale` that is no trouble yet: its Max-Age is over, and it is asked again. */
export const PAST_MAX_AGE = "nothing within its Max-Age";

/** Reason of a `waiting` that is no trouble yet: it was asked and nothing has come of it so far. */
export const NO_ANSWER_YET = "no answer yet";

/** One sensor as status, health and metrics show it. */
export interface SensorState {
  readonly url: string;
  readonly channel: string;
  /** `polled-instead`: to be observed, but the server does not take observations. */
  readonly mode: "observed" | "polled" | "polled-instead";
  readonly state: Freshness;
  /** Why it is not fresh. */
  readonly reason?: string;
  /** Unix milliseconds of the last change of state. */
  readonly since: number;
}

/** Whether somebody should look after it: it is gone, or was asked in vain. */
export function isTroubled({ state, reason }: SensorState): boolean {
  return state === "gone" || (state !== "fresh" && reason !== PAST_MAX_AGE && reason !== NO_ANSWER_YET);
}
