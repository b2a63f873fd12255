import { median } from "../ratio.ts";
import type { Ask, Load, Loaded } from "./messages.ts";
import { processorMicros } from "./processor-time.ts";
import { type Subject, startFile, startGateway, startLibcoap } from "./subjects.ts";
import { startWorker, type Worker } from "./worker.ts";

const ROUNDS = 7;
const PER_ROUND = 40_000;

/** Part of the bare loop's rate at least, and processor time per request against the echo's at most. */
const TARGETS = { get: { rate: 0.8, cpu: 1.5 }, put: { rate: 0.6, cpu: 2.2 } } as const;

/** One case: who is asked for what. */
interface Case {
  readonly subject: Subject;
  readonly ask: Ask;
  readonly rates: number[];
  micros: number;
  requests: number;
}

/** What the requests gave. */
export interface Measured {
  readonly isWell: boolean;
  /** Processor time of one echo, microseconds. */
  readonly echoMicros: number;
}

/** GET and PUT: 64 on the way at once over 4 sockets, CON, 64 bytes. */
export async function measureRequests(): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const generator = stack.use(await startWorker<Load, Loaded>("load-generator.ts"));
  const echo = stack.use(await startFile("a bare UDP echo", new URL("../echo-server.ts", import.meta.url)));
  const bare = stack.use(
    await startFile("a bare coap-packet loop", new URL("bare-server.ts", import.meta.url)),
  );
  const gateway = stack.use(await startGateway());
  const libcoap = await startLibcoap();
  if (libcoap !== undefined) stack.use(libcoap);
  const servers = [bare, gateway, ...(libcoap === undefined ? [] : [libcoap])];
  const cases = [
    caseOf(echo, "echo"),
    ...(["get", "put"] as const).flatMap((ask) => servers.map((subject) => caseOf(subject, ask))),
  ];
  for (const each of cases) await measure(generator, each);
  for (const each of cases) Object.assign(each, { rates: [], micros: 0, requests: 0 });
  for (let round = 0; round < ROUNDS; round += 1) for (const each of cases) await measure(generator, each);
  return report(cases);
}

const caseOf = (subject: Subject, ask: Ask): Case => ({ subject, ask, rates: [], micros: 0, requests: 0 });

async function measure(generator: Worker<Load, Loaded>, it: Case): Promise<void> {
  const { port, pid, name } = it.subject;
  const before = processorMicros(pid);
  const { seconds, wrong } = await generator.ask({ port, ask: it.ask, requests: PER_ROUND });
  if (wrong > 0) throw new Error(`${wrong} of ${PER_ROUND} requests to ${name} were refused`);
  it.micros += processorMicros(pid) - before;
  it.requests += PER_ROUND;
  it.rates.push(PER_ROUND / seconds);
}

const microsOf = ({ micros, requests }: Case): number => micros / requests;

function report(cases: readonly Case[]): Measured {
  const [echo] = cases;
  if (echo === undefined) throw new Error("nothing was measured");
  const echoMicros = microsOf(echo);
  console.log(`${echo.subject.name}: ${Math.round(median(echo.rates))}/s, ${echoMicros.toFixed(1)} µs each`);
  let isWell = true;
  for (const ask of ["get", "put"] as const) {
    const asked = cases.filter((each) => each.ask === ask);
    const bare = asked.find(({ subject }) => subject.name.includes("coap-packet"));
    if (bare === undefined) throw new Error("the bare loop was not measured");
    for (const each of asked) {
      const rate = median(each.rates.map((one, round) => one / (bare.rates[round] ?? Number.NaN)));
      const cpu = microsOf(each) / echoMicros;
      const target = each.subject.name === "the gateway" ? TARGETS[ask] : undefined;
      const isMet = target === undefined || (rate >= target.rate && cpu <= target.cpu);
      isWell &&= isMet;
      console.log(
        `${ask.toUpperCase()}, ${each.subject.name}: ${Math.round(median(each.rates))}/s, ${rate.toFixed(2)}× of the bare ` +
          `loop${verdict(target && `≥ ${target.rate}×`, rate >= (target?.rate ?? 0))}, ${microsOf(each).toFixed(1)} µs, ` +
          `${cpu.toFixed(2)}× of the echo${verdict(target && `≤ ${target.cpu}×`, cpu <= (target?.cpu ?? 0))}`,
      );
    }
  }
  return { isWell, echoMicros };
}

const verdict = (target: string | undefined, isMet: boolean): string =>
  target === undefined ? "" : ` (target ${target}: ${isMet ? "ok" : "MISSED"})`;
