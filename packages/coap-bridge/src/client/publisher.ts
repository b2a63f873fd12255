import type { Draft, Port, Receipt } from "@nomq/core";
import { type BackOff, createBackOff } from "./back-off.ts";

/** A state on its way to the hub. */
export interface SensorValue {
  readonly payload: Uint8Array;
  readonly contentType?: string;
  /** When it expires, monotonic milliseconds; absent: never. */
  readonly expiresAt?: number;
}

/** Hands the states of one sensor to the hub: one at a time, the newest of those that wait. */
export interface Publisher {
  offer(value: SensorValue): void;
  /** Nothing is handed on any more; what is under way is not waited for. */
  stop(): Promise<void>;
}

/** What a {@link Publisher} needs. */
export interface PublisherOptions {
  readonly port: Port;
  readonly random: () => number;
  /** Of the messages: channel and QoS. */
  readonly draft: Pick<Draft, "channel" | "qos">;
  /**
   * The actuator that is the same resource. What it was told comes back from here and is no news; what is news does not
   * go to it, for it has it.
   */
  readonly attachment?: string;
  /** Told of each state the hub has taken. */
  readonly taken: () => void;
  /** Told where a newer state took the place of one that waited. */
  readonly superseded: () => void;
  /** Told of each refusal. */
  readonly refused: (reason: string, isFinal: boolean) => void;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** Refusals that pass: the hub or its store has no room just now. */
const PASSES = /^(store-|outbox-full)/;

/** Makes it; nothing is handed on before the first offer. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { port, draft, random } = options;
  const backOff: BackOff = createBackOff(FIRST_RETRY_MS, LONGEST_RETRY_MS, random);
  let next: SensorValue | undefined;
  let running: Promise<void> | undefined;
  const ended = new AbortController();
  let cancelWait: (() => void) | undefined;

  const publish = (value: SensorValue): Promise<Receipt> => {
    const { payload, contentType, expiresAt } = value;
    return port.publish(
      {
        ...draft,
        payload,
        retain: true,
        ...(contentType === undefined ? {} : { contentType }),
        ...(expiresAt === undefined ? {} : { ttlMs: Math.max(0, expiresAt - port.clock.monotonic()) }),
      },
      "*",
      {
        signal: ended.signal,
        ...(options.attachment === undefined ? {} : { attachment: options.attachment }),
      },
    );
  };
  /**
   * Whether the hub has the very state, for good. Asked only of what is written as well: a resource that tells of every
   * write would otherwise go round with its own actuator.
   */
  const isKnown = async ({ payload }: SensorValue): Promise<boolean> => {
    if (options.attachment === undefined) return false;
    const kept = await port.latest(draft.channel, "*");
    if (kept === undefined) return payload.length === 0;
    return kept.expiresAt === undefined && Buffer.compare(kept.payload, payload) === 0;
  };
  /** True: to be handed over again later, unless a newer one comes. */
  const mustWait = async (value: SensorValue): Promise<boolean> => {
    if (await isKnown(value)) return false;
    const receipt = await publish(value);
    if (receipt.at !== "refused") {
      backOff.reset();
      options.taken();
      return false;
    }
    const reason = receipt.reason ?? "refused";
    const passes = PASSES.test(reason);
    options.refused(reason, !passes);
    return passes;
  };
  const wait = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = port.clock.after(backOff.next(), resolve);
    cancelWait = () => {
      cancel();
      resolve();
    };
    await promise;
    cancelWait = undefined;
  };
  const run = async (): Promise<void> => {
    while (next !== undefined && !ended.signal.aborted) {
      const value = next;
      next = undefined;
      if (!(await mustWait(value)) || ended.signal.aborted) continue;
      await wait();
      next ??= value;
    }
    running = undefined;
  };
  return {
    offer(value) {
      if (ended.signal.aborted) return;
      if (next !== undefined) options.superseded();
      next = value;
      running ??= run();
    },
    async stop() {
      ended.abort();
      cancelWait?.();
      await running;
    },
  };
}
