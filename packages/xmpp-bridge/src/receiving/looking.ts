import type { CancelTimer, Clock } from "@nomq/core";
import type { Finding, Found } from "../nodes/finding.ts";

/** What looking for nodes needs. */
export interface LookingOptions {
  readonly finding: Finding;
  readonly clock: Pick<Clock, "after">;
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** Acts on what a look has found. Until it has, nobody is told of it. Never rejects. */
  found(look: Looked): Promise<void>;
}

/** What a look has found. */
export interface Looked {
  readonly found: Found;
  /** What the look before found in this run. */
  readonly before: Found | undefined;
  /** Whether the session in which it was found still lasts. */
  isCurrent(): boolean;
}

/** Looks for nodes at the begin of each session, and again and again. */
export interface Looking {
  /** A new session has begun, under this full JID. */
  begin(jid: string): void;
  /** What was last found in this session and acted on; waits for its first look. Undefined: nothing. */
  last(): Promise<Found | undefined>;
  /** We have made the node: looks that may have listed before do not know of it. */
  made(node: string): void;
  /** Whether no look has begun and ended since it was made. */
  isMade(node: string): boolean;
  /** Our full JID; of the last session while there is none. */
  jid(): string;
  /** Ends what is under way; the signal has aborted. */
  end(): Promise<void>;
}

/** Makes it; looks at nothing yet. */
export function createLooking({ clock, everyMs, finding, found, signal }: LookingOptions): Looking {
  let looked: Promise<Found | undefined> = Promise.resolve(undefined);
  let before: Found | undefined;
  let looking: Promise<void> = Promise.resolve();
  let session = 0;
  let own = "";
  let cancel: CancelTimer = () => undefined;
  /** Nodes made since the last look that ended has begun, and since the one under way has. */
  let made = new Set<string>();
  let madeMeanwhile = made;

  const look = async (isFirst = false): Promise<Found | undefined> => {
    const current = session;
    if (own === "" || signal.aborted) return undefined;
    const meanwhile = new Set<string>();
    madeMeanwhile = meanwhile;
    const now = await finding.look(own, { signal, isFirst });
    if (current !== session || signal.aborted) return undefined;
    const acted = Promise.withResolvers<Found>();
    looked = acted.promise;
    made = meanwhile;
    const last = before;
    before = now;
    await found({ found: now, before: last, isCurrent: () => current === session });
    acted.resolve(now);
    return now;
  };
  const again = (): void => {
    cancel();
    cancel = clock.after(everyMs, () => {
      looking = looking.then(async () => void (await look())).finally(again);
    });
  };

  return {
    begin(jid) {
      session += 1;
      own = jid;
      const first = Promise.withResolvers<Found | undefined>();
      looked = first.promise;
      looking = looking
        .then(async () => first.resolve(await look(true)))
        .finally(() => first.resolve(undefined));
      again();
    },
    last: () => looked,
    made(node) {
      made.add(node);
      madeMeanwhile.add(node);
    },
    isMade: (node) => made.has(node),
    jid: () => own,
    async end() {
      cancel();
      await looking;
      cancel();
    },
  };
}
