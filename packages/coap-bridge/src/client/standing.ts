import type { Port } from "@nomq/core";
import { createPacedLog } from "./paced-log.ts";
import { type Freshness, NO_ANSWER_YET, PAST_MAX_AGE, type SensorState } from "./sensor-state.ts";

/** How a sensor stands, said to those who look after it: state, log, session log. */
export interface Standing {
  become(next: Freshness, why?: string): void;
  /** It does not answer, or what it says makes no sense; a value within its Max-Age holds all the same. */
  troubled(why: string): void;
  /** Its value holds no longer. */
  outlived(): void;
  readAs(mode: SensorState["mode"]): void;
  state(): SensorState;
}

/** Makes it as `waiting`. `where`: URL and channel, as shown. */
export function createStanding(
  port: Port,
  where: Pick<SensorState, "url" | "channel">,
  firstMode: SensorState["mode"],
): Standing {
  let mode = firstMode;
  let state: Freshness = "waiting";
  let reason: string | undefined = NO_ANSWER_YET;
  let since = port.clock.now();
  let trouble: string | undefined;
  let isTroubleSaid = false;
  const log = createPacedLog(port.log, port.clock);

  const record = (what: string, details: Readonly<Record<string, string>> = {}): void =>
    port.sessionLog.record({ who: "coap", what, details: { ...where, ...details } });
  const say = (before: Freshness, why: string | undefined): void => {
    if (state === "gone") {
      record("sensor.gone", why === undefined ? {} : { reason: why });
      log.warn("sensor gone: its channel is cleared", { ...where, reason: why });
    }
    if (before === "gone") record("sensor.back");
    if (state === "fresh" && (before === "gone" || isTroubleSaid)) log.info("sensor well again", where);
  };
  /** Being asked again after its Max-Age is a quiet sensor's way of life: only what comes of it in vain is said. */
  const sayTrouble = (): void => {
    const isNews = trouble !== undefined && trouble !== PAST_MAX_AGE && !isTroubleSaid;
    if (!isNews || state === "fresh" || state === "gone") return;
    isTroubleSaid = true;
    log.warn("no value from a sensor", { ...where, state, reason: trouble });
  };
  const become = (next: Freshness, why?: string): void => {
    const before = state;
    reason = why;
    if (next === "fresh") trouble = undefined;
    if (next === before) return;
    state = next;
    since = port.clock.now();
    say(before, why);
    if (next === "fresh") isTroubleSaid = false;
  };
  return {
    become,
    troubled(why) {
      trouble = why;
      if (state !== "fresh") reason = why;
      sayTrouble();
    },
    outlived() {
      if (state === "fresh") become("stale", trouble ?? PAST_MAX_AGE);
      sayTrouble();
    },
    readAs(next) {
      if (next === mode) return;
      mode = next;
      const isPolled = next === "polled-instead";
      log.info(
        isPolled ? "the sensor's server takes no observation: it is polled" : "the sensor is observed",
        where,
      );
      record(isPolled ? "sensor.polled-instead" : "sensor.observed");
    },
    state: () => ({ ...where, mode, state, ...(reason === undefined ? {} : { reason }), since }),
  };
}
