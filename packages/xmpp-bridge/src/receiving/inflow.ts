import {
  type Clock,
  type Draft,
  NomqError,
  type Port,
  type Principal,
  type PublishOptions,
  type Receipt,
  recordAccessRefusal,
} from "@nomq/core";
import type { Mark } from "./marks.ts";
import type { NodeMemory } from "./node-memory.ts";
import type { Tally } from "./tally.ts";

/** One message on its way into the hub. */
export interface Entering {
  readonly draft: Draft;
  readonly from: Principal;
  readonly once?: string;
  /** Written in the message's own commit: after a crash it tells that the item was taken in. */
  readonly mark?: Mark;
  /** What is remembered of the node once the message is stored. */
  readonly memory: NodeMemory;
  /** What is counted when it is. */
  readonly as: "caughtUp" | "cleared" | "published";
}

/** What an inflow needs. */
export interface InflowOptions {
  readonly port: Pick<Port, "clock" | "publish" | "sessionLog">;
  readonly attachment: string;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** Everything up to here is stored, or has met its end; the marks are of no more use than this memory. */
  settled(memory: NodeMemory, marks: readonly Pick<Mark, "key">[]): void;
}

/** The messages of one node, in their order: several are under way at once, for each waits for a commit of the store. */
export interface Inflow {
  /** Resolves when there is room for the next. Never rejects. */
  enter(message: Entering): Promise<void>;
  /** Remembers without a message, after those under way. */
  pass(memory: NodeMemory, marks?: readonly Pick<Mark, "key">[]): void;
  /** Resolves when none is under way. */
  rest(): Promise<void>;
}

const MOST_OPEN = 32;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

interface Open {
  memory: NodeMemory;
  marks: readonly Pick<Mark, "key">[];
  isDone: boolean;
  /** No message: only something to be remembered. */
  readonly isPassed: boolean;
  readonly done: Promise<void>;
  /** Resolves when it and all before it are done. */
  readonly all: Promise<void>;
}

/** Makes one. */
export function createInflow({ attachment, port, settled, signal, tally }: InflowOptions): Inflow {
  const open: Open[] = [];
  /** Messages that the hub was too busy for: while there is one, none after it is begun. */
  let held = 0;
  let resumed = Promise.withResolvers<void>();
  /** Those under way together: when one is refused for now the hub lets none after it pass. */
  let series = {};
  /** The hub has closed: what is open will never be settled, and nothing is begun any more. */
  let isOver = false;

  const publish = async (
    { draft, from, mark, once }: Entering,
    together: Pick<PublishOptions, "series">,
  ): Promise<Receipt | undefined> => {
    const options: PublishOptions = {
      until: "stored",
      attachment,
      signal,
      ...together,
      ...(once === undefined ? {} : { once }),
      ...(mark === undefined ? {} : { marks: [mark] }),
    };
    try {
      const receipt = await port.publish(draft, from, options);
      // A hub that has closed: nothing is remembered, so it comes again.
      return receipt.at === "refused" && receipt.reason === "closed" ? undefined : receipt;
    } catch (error) {
      if (error instanceof NomqError) return undefined;
      // One that the hub stumbles over is counted and left out: those behind it are not to blame.
      return { id: "", channel: draft.channel, at: "refused", reason: "internal-error", outcomes: [] };
    }
  };
  /** `before` resolves when all messages before this one have met their end. */
  const carry = async (message: Entering, before: Promise<void>): Promise<boolean> => {
    let isHeld = false;
    let isFirst = false;
    void before.then(() => (isFirst = true));
    try {
      for (let delay = FIRST_DELAY_MS; !signal.aborted && !isOver; ) {
        // One that is offered again is the only one.
        const receipt = await publish(message, isHeld ? {} : { series });
        if (receipt === undefined) return false;
        if (receipt.at !== "refused" || !isForNow(receipt.reason)) {
          count(message, receipt);
          return receipt.at !== "accepted" || message.draft.qos === 0 || !signal.aborted;
        }
        if (!isHeld) held += 1;
        isHeld = true;
        // Those refused together are offered again in their order, each when the one before it is taken.
        if (!isFirst) await before;
        else {
          await pause(port.clock, delay, signal);
          delay = Math.min(2 * delay, LONGEST_DELAY_MS);
        }
      }
      return false;
    } finally {
      if (isHeld) held -= 1;
      if (isHeld && held === 0) {
        series = {};
        resumed.resolve();
        resumed = Promise.withResolvers<void>();
      }
    }
  };
  const count = ({ as, draft, from }: Entering, receipt: Receipt): void => {
    if (receipt.at === "refused" && receipt.reason === "access") {
      const refusal = { who: from, action: "publish", name: draft.channel, protocol: "xmpp" } as const;
      recordAccessRefusal(port.sessionLog, refusal);
    }
    if (receipt.at === "refused") tally.refused(receipt.reason ?? "unknown");
    else if (receipt.repeated === true) tally.add("duplicates");
    else if (receipt.reason === "echo") tally.add("echoes");
    else {
      tally.add(as);
      if (as === "caughtUp") tally.add("published");
    }
  };
  const shift = (): void => {
    for (let first = open[0]; first?.isDone === true; first = open[0]) {
      open.shift();
      settled(first.memory, first.marks);
    }
  };

  return {
    async enter(message) {
      while (held > 0) await resumed.promise;
      if (isOver) return;
      const before = open.at(-1)?.all ?? Promise.resolve();
      const done = carry(message, before).then((isSettled) => {
        entry.isDone = isSettled;
        isOver ||= !isSettled;
        shift();
      });
      const entry: Open = {
        memory: message.memory,
        marks: message.mark === undefined ? [] : [message.mark],
        isDone: false,
        isPassed: false,
        done,
        all: Promise.all([before, done]).then(() => undefined),
      };
      open.push(entry);
      while (open.length >= MOST_OPEN && open[0] !== undefined && !isOver && !signal.aborted)
        await open[0].done;
    },
    pass(memory, marks = []) {
      const last = open.at(-1);
      if (last === undefined) settled(memory, marks);
      // Behind a message that is held up any number may pass: the last of them says what all say.
      else if (last.isPassed) Object.assign(last, { memory, marks: [...last.marks, ...marks] });
      else open.push({ memory, marks, isDone: true, isPassed: true, done: Promise.resolve(), all: last.all });
    },
    async rest() {
      await Promise.all(open.map(({ done }) => done));
    },
  };
}

/** Refusals that pass by themselves: the store is behind or its disk full, an outbox with `refuse` is, or one before it was refused so. */
const FOR_NOW: ReadonlySet<string> = new Set(["out-of-order", "store-busy", "store-failed", "store-full"]);
const isForNow = (reason = ""): boolean => FOR_NOW.has(reason) || reason.startsWith("outbox-full");

/** Waits, or until the signal aborts. */
export function pause(clock: Pick<Clock, "after">, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener("abort", end, { once: true });
  });
}
