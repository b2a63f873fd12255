import type { FromCrowd, ToCrowd } from "./messages.ts";
import { processorMicros } from "./processor-time.ts";
import { type Subject, startFile, startGateway, startLibcoap } from "./subjects.ts";
import { startWorker } from "./worker.ts";

const OBSERVERS = 1_000;
const PUBLISHES = 20;
const WARM_UP = 5;
/** libcoap takes seconds for a thousand CON notifications: a few of them are enough to compare. */
const LIBCOAP_CON = { publishes: 2, warmUp: 1 } as const;

/** Microseconds of processor time per notification on a machine whose echo takes {@link REFERENCE_ECHO}. */
const TARGETS = { NON: 10, CON: 18 } as const;
const REFERENCE_ECHO = 6.6;

const bareLoop = (): Promise<Subject> =>
  startFile("a bare coap-packet loop", new URL("bare-server.ts", import.meta.url));

/** One publish to 1,000 observers; resolves with whether the gateway met its targets. */
export async function measureFanOut(echoMicros: number): Promise<boolean> {
  let isWell = true;
  for (const type of ["NON", "CON"] as const) {
    const target = (TARGETS[type] * echoMicros) / REFERENCE_ECHO;
    for (const start of [bareLoop, startGateway, startLibcoap]) {
      await using subject = await start();
      if (subject === undefined) continue;
      const { micros, ms, lost } = await fanOut(
        subject,
        type === "CON",
        start === startLibcoap && type === "CON" ? LIBCOAP_CON : undefined,
      );
      const isOurs = start === startGateway;
      const isMet = micros <= target && lost === 0;
      if (isOurs) isWell &&= isMet;
      const verdict = isOurs ? ` (target ≤ ${target.toFixed(1)} µs: ${isMet ? "ok" : "MISSED"})` : "";
      console.log(
        `1 → ${OBSERVERS} ${type} observers, ${subject.name}: ${micros.toFixed(1)} µs a notification, ` +
          `${(micros / echoMicros).toFixed(2)}× of the echo${verdict}, ${lost === 0 ? "all" : `${lost} not`} told after ${ms.toFixed(0)} ms`,
      );
    }
  }
  return isWell;
}

/** What a fan-out cost: processor time of one notification, the middle time of all, and how many never came. */
interface FanOut {
  readonly micros: number;
  readonly ms: number;
  readonly lost: number;
}

async function fanOut(
  { port, pid }: Subject,
  confirmable: boolean,
  { publishes, warmUp } = { publishes: PUBLISHES, warmUp: WARM_UP },
): Promise<FanOut> {
  await using crowd = await startWorker<ToCrowd, FromCrowd>("observing-crowd.ts");
  await crowd.ask({ is: "register", port, observers: OBSERVERS, confirmable });
  await crowd.ask({ is: "publish", times: warmUp });
  const before = processorMicros(pid);
  const { count, ms } = await crowd.ask({ is: "publish", times: publishes });
  return { micros: (processorMicros(pid) - before) / count, ms, lost: OBSERVERS * publishes - count };
}
