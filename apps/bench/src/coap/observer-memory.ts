import type { FromCrowd, ToCrowd } from "./messages.ts";
import { residentMiB } from "./processor-time.ts";
import { type Subject, startFile, startGateway } from "./subjects.ts";
import { startWorker } from "./worker.ts";

const OBSERVERS = 10_000;
const WARM_UP = 200;
const PUBLISHES = 3;
/** MiB that all of them may take. */
const TARGET = 40;

/** What 10,000 observers with a socket each cost, in memory; resolves with whether the target was met. */
export async function measureObserverMemory(): Promise<boolean> {
  const bare = await grown(
    await startFile("a bare coap-packet loop", new URL("bare-server.ts", import.meta.url)),
  );
  const ours = await grown(await startGateway());
  const isMet = ours <= TARGET;
  console.log(
    `${OBSERVERS} observers: +${ours.toFixed(1)} MiB (target ≤ ${TARGET} MiB: ${isMet ? "ok" : "MISSED"}), ` +
      `${((ours * 1_048_576) / OBSERVERS).toFixed(0)} bytes each, ${(ours / bare).toFixed(2)}× of a bare coap-packet loop`,
  );
  return isMet;
}

/** MiB more after they have registered and been told a few values. */
async function grown(started: Subject): Promise<number> {
  await using subject = started;
  await using crowd = await startWorker<ToCrowd, FromCrowd>("observing-crowd.ts");
  const { port, pid } = subject;
  // What the first few load and compile is no cost of an observer.
  await crowd.ask({ is: "register", port, observers: WARM_UP, confirmable: true });
  await crowd.ask({ is: "publish", times: 20 * PUBLISHES });
  const before = residentMiB(pid);
  await crowd.ask({ is: "register", port, observers: OBSERVERS, confirmable: true });
  await crowd.ask({ is: "publish", times: PUBLISHES });
  return residentMiB(pid) - before;
}
