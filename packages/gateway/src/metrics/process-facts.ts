import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks";

/** What the process itself uses. */
export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Unix seconds. */
  readonly startedAt: number;
  /** Percentile and seconds that a timer came late, since they were read last. */
  readonly loopDelays: readonly (readonly [percentile: string, seconds: number])[];
  /** 0 to 1, since it was read last. */
  readonly loopUtilization: number;
}

/** Watches the event loop from when it is made until it is disposed of. */
export interface ProcessWatch extends Disposable {
  read(): ProcessFacts;
}

const RESOLUTION_MS = 10;
const PERCENTILES = [50, 99, 100] as const;

/** Starts a watch. */
export function watchProcess(): ProcessWatch {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return {
    read() {
      const now = performance.eventLoopUtilization();
      const loopUtilization = performance.eventLoopUtilization(now, last).utilization;
      last = now;
      const loopDelays = PERCENTILES.map((percentile): [string, number] => [
        String(percentile),
        delayOf(delays.percentile(percentile)),
      ]);
      delays.reset();
      const { user, system } = process.cpuUsage();
      const { rss, heapUsed } = process.memoryUsage();
      return {
        cpuSeconds: (user + system) / 1e6,
        residentBytes: rss,
        heapBytes: heapUsed,
        startedAt: performance.timeOrigin / 1_000,
        loopDelays,
        loopUtilization,
      };
    },
    [Symbol.dispose]: () => void delays.disable(),
  };
}

/** What was measured is the time between two timers: the delay is what goes beyond their distance. */
const delayOf = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000);
