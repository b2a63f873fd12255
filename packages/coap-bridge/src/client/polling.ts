import type { CancelTimer } from "@nomq/core";
import { codeText, Response } from "../wire/code.ts";
import { type Exchanged, exchange } from "./agent-exchange.ts";
import { askedToWaitMs, etagOf } from "./answer-options.ts";
import { createBackOff } from "./back-off.ts";
import type { ClientTallies } from "./counters.ts";
import type { Lookup } from "./lookup.ts";
import type { Wire } from "./request.ts";
import type { Sensor } from "./sensor.ts";
import type { Turns } from "./turns.ts";

/** One sensor that is read again and again until stopped. */
export interface Polling {
  start(): void;
  stop(): void;
}

/** What a {@link Polling} needs. */
export interface PollingParts {
  readonly wire: Wire;
  readonly lookup: Lookup;
  readonly turns: Turns;
  readonly tallies: ClientTallies;
}

/** A reading comes up to this part of `every` early, so that many sensors do not come together. */
const JITTER = 0.1;
/** Waits after failures grow from `every` to this many times it, and at most to five minutes unless `every` is longer. */
const LONGEST_TIMES = 16;
const LONGEST_RETRY_MS = 300_000;

/** Makes it; nothing is sent before `start`. `every`: milliseconds. */
export function createPolling(sensor: Sensor, every: number, parts: PollingParts): Polling {
  const { wire, lookup, turns, tallies } = parts;
  const { target } = sensor.settings;
  const longest = Math.max(every, Math.min(every * LONGEST_TIMES, LONGEST_RETRY_MS));
  const backOff = createBackOff(Math.max(every, 1_000), Math.max(longest, 1_000), wire.random);
  let running: AbortController | undefined;
  let cancel: CancelTimer | undefined;
  let failures = 0;
  /** Of the value that the sensor holds. */
  let etag: Uint8Array | undefined;

  const failed = (reason: string, afterMs?: number): number => {
    failures += 1;
    sensor.troubled(reason);
    return afterMs ?? backOff.next();
  };
  const soon = (): number => {
    failures = 0;
    backOff.reset();
    return every * (1 - JITTER * wire.random());
  };
  /** Takes the answer; milliseconds until the next reading. */
  const took = (answer: Exchanged): number => {
    switch (answer.is) {
      case "reset":
        return failed("it resets requests");
      case "silent":
        return failed("no answer");
      case "broken":
        etag = undefined;
        tallies.refused.add(answer.reason);
        return failed(`its value cannot be read: ${answer.reason}`);
      case "aborted":
        return 0;
      case "answered":
        return answered(answer);
    }
  };
  const answered = ({ code, options, payload }: Extract<Exchanged, { is: "answered" }>): number => {
    if (code === Response.content) {
      etag = etagOf(options);
      sensor.value(options, payload, true);
      return soon();
    }
    if (code === Response.valid && etag !== undefined) {
      sensor.unchanged(options);
      return soon();
    }
    etag = undefined;
    sensor.failed(code);
    const asked = askedToWaitMs(code, options);
    return failed(`answered ${codeText(code)}`, asked && Math.max(every, asked));
  };
  const read = async (signal: AbortSignal): Promise<number> => {
    const to = await lookup.find(target, failures);
    if (to === undefined) return failed(target.isName ? "its name has no address" : "no way to its address");
    const giveBack = await turns.take(to.key, signal);
    if (giveBack === undefined) return 0;
    try {
      tallies.requests.add("reading");
      const what = { to, target, method: "GET", ...(etag === undefined ? {} : { etag }) } as const;
      const answer = await exchange(wire, what, signal);
      return signal.aborted ? 0 : took(answer);
    } finally {
      giveBack();
    }
  };
  const round = async (signal: AbortSignal): Promise<void> => {
    const afterMs = await read(signal);
    if (!signal.aborted) cancel = wire.clock.after(afterMs, () => void round(signal));
  };
  return {
    start() {
      if (running !== undefined) return;
      running = new AbortController();
      const { signal } = running;
      // Those of one configuration begin apart from one another.
      cancel = wire.clock.after(Math.min(every, 1_000) * wire.random(), () => void round(signal));
    },
    stop() {
      running?.abort();
      running = undefined;
      cancel?.();
    },
  };
}
