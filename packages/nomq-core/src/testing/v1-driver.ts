import type { CancelTimer, Clock } from "../clock.ts";
import type { Endpoint, Transport } from "../transport.ts";
import {
  createV1Device,
  type V1Delivery,
  type V1Device,
  type V1DeviceOptions,
  type V1Received,
} from "./v1-device.ts";
import type { V1Publish } from "./v1-sender.ts";
import type { V1Pending } from "./v1-state.ts";

/** Answers a test can take away from a device. */
export type V1Answer = "ACK" | "PUBREC" | "PUBREL" | "PUBCOMP" | "HEARTBEAT";

const ANSWERS: readonly (readonly [number, V1Answer])[] = [
  [3, "ACK"],
  [5, "HEARTBEAT"],
  [6, "PUBREC"],
  [7, "PUBREL"],
  [8, "PUBCOMP"],
];

/** How to run a device. */
export interface V1DriverOptions extends V1DeviceOptions {
  /** Closed when the driver is disposed. */
  readonly transport: Transport;
  readonly clock: Clock;
  /** Seconds the device's clock is ahead of the wall clock: -946,684,800 for one that counts from 2000. Default 0. */
  readonly offsetSeconds?: number;
  /** Sleep 100 ms after each processed packet, as devices do, so about 10 a second. Default false. */
  readonly paced?: boolean;
  /** Datagrams the device's network stack holds while it sleeps; more are lost. 6 on ESP32. Default: no limit. */
  readonly queue?: number;
  /** Answers not sent from the start. */
  readonly cut?: readonly V1Answer[];
}

/** One datagram that arrived, and what it did. */
export interface V1Record extends V1Received {
  readonly from: Endpoint;
  readonly datagram: Uint8Array;
  /** Wall clock in Unix milliseconds. */
  readonly at: number;
  /** The answer the device gave; in `cut` at that time, it was not sent. */
  readonly answer?: V1Answer;
}

/** A v1 device on a transport. Disposing closes the transport. */
export interface V1Driver extends AsyncDisposable {
  readonly device: V1Device;
  readonly local: Endpoint;
  /** Change it at any time: answers in the set are computed and not sent. */
  readonly cut: Set<V1Answer>;
  /** Change it to set the device's clock. */
  offsetSeconds: number;
  /** Sends as the device does: once, never again. Undefined where the device refuses; `log` says why. */
  publish(publish: V1Publish, to: Endpoint): Promise<number | undefined>;
  /** Everything that arrived and was looked at, in order. */
  readonly received: readonly V1Record[];
  /** What reached the device's program, in order. */
  readonly delivered: readonly V1Delivery[];
  /** Datagrams lost because the queue was full. */
  readonly overflowed: number;
  readonly log: readonly string[];
  pending(): ReadonlyMap<number, V1Pending>;
  /**
   * Resolves when `condition` holds; asked now and after every datagram and publish. Rejects with a summary after
   * `timeoutMs` (default 10 s) of the driver's clock, and when it is disposed.
   */
  until(condition: () => boolean, options?: { readonly timeoutMs?: number }): Promise<void>;
}

interface Waiter {
  readonly condition: () => boolean;
  readonly settle: (error?: Error) => void;
}

interface Running {
  readonly options: V1DriverOptions;
  readonly device: V1Device;
  readonly cut: Set<V1Answer>;
  readonly received: V1Record[];
  readonly delivered: V1Delivery[];
  readonly log: string[];
  readonly queue: { readonly datagram: Uint8Array; readonly from: Endpoint }[];
  readonly waiters: Set<Waiter>;
  asleep: CancelTimer | undefined;
  overflowed: number;
  offsetSeconds: number;
}

/** Starts a device on its transport. */
export function runV1Device(options: V1DriverOptions): V1Driver {
  const device = createV1Device(options);
  const run: Running = {
    options,
    device,
    cut: new Set(options.cut),
    received: [],
    delivered: [],
    log: [],
    queue: [],
    waiters: new Set(),
    asleep: undefined,
    overflowed: 0,
    offsetSeconds: options.offsetSeconds ?? 0,
  };
  options.transport.onDatagram((datagram, from) => {
    if (run.queue.length >= (options.queue ?? Number.POSITIVE_INFINITY)) run.overflowed += 1;
    else run.queue.push({ datagram, from });
    work(run);
  });
  return present(run);
}

function present(run: Running): V1Driver {
  const { transport } = run.options;
  return {
    device: run.device,
    local: transport.local,
    cut: run.cut,
    received: run.received,
    delivered: run.delivered,
    log: run.log,
    get overflowed() {
      return run.overflowed;
    },
    get offsetSeconds() {
      return run.offsetSeconds;
    },
    set offsetSeconds(seconds) {
      run.offsetSeconds = seconds;
    },
    async publish(publish, to) {
      const sent = run.device.publish(publish, deviceTime(run));
      run.log.push(...sent.log);
      for (const datagram of sent.datagrams) await transport.send(datagram, to);
      tell(run);
      return sent.packetId;
    },
    pending: () => run.device.pending(),
    until: (condition, waiting) => until(run, condition, waiting?.timeoutMs ?? 10_000),
    async [Symbol.asyncDispose]() {
      run.asleep?.();
      run.queue.length = 0;
      for (const { settle } of run.waiters) settle(new Error("the device was stopped"));
      await transport[Symbol.asyncDispose]();
    },
  };
}

function deviceTime(run: Running): number {
  return Math.floor(run.options.clock.now() / 1_000) + run.offsetSeconds;
}

/** Looks at what waits, until the device sleeps. */
function work(run: Running): void {
  if (run.asleep !== undefined) return;
  for (let next = run.queue.shift(); next !== undefined; next = run.queue.shift()) {
    const done = run.device.receive(next.datagram, next.from, deviceTime(run));
    record(run, next, done);
    if (run.options.paced !== true || done.sleepMs === 0) continue;
    run.asleep = run.options.clock.after(done.sleepMs, () => {
      run.asleep = undefined;
      work(run);
    });
    break;
  }
  tell(run);
}

function record(
  run: Running,
  { datagram, from }: { datagram: Uint8Array; from: Endpoint },
  done: V1Received,
): void {
  const answer = ANSWERS.find(([type]) => type === done.reply?.type)?.[1];
  const at = run.options.clock.now();
  run.received.push({ ...done, from, datagram, at, ...(answer !== undefined && { answer }) });
  if (done.delivered !== undefined) run.delivered.push(done.delivered);
  run.log.push(...done.log);
  if (done.reply === undefined || answer === undefined || run.cut.has(answer)) return;
  // A device never learns whether its answer left.
  run.options.transport.send(done.reply.datagram, from).catch(() => undefined);
}

function tell(run: Running): void {
  for (const waiter of run.waiters) if (waiter.condition()) waiter.settle();
}

function until(run: Running, condition: () => boolean, timeoutMs: number): Promise<void> {
  if (condition()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const waiter: Waiter = {
      condition,
      settle: (error) => {
        run.waiters.delete(waiter);
        cancel();
        if (error === undefined) resolve();
        else reject(error);
      },
    };
    const cancel = run.options.clock.after(timeoutMs, () =>
      waiter.settle(new Error(summary(run, timeoutMs))),
    );
    run.waiters.add(waiter);
  });
}

function summary(run: Running, timeoutMs: number): string {
  const last = run.log.slice(-3).join(" | ");
  return `not within ${timeoutMs} ms: ${run.received.length} received, ${run.delivered.length} delivered; ${last}`;
}
