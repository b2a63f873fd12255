/** One message as its publisher knows it. */
export interface Sent {
  /** Unique; it is the payload. A clear has none: its payload is empty. */
  readonly id: string;
  readonly party: string;
  readonly channel: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly clears: boolean;
  /** Rises by one on each channel. */
  readonly place: number;
  /** Unix milliseconds, before it left. */
  readonly sentAt: number;
  /** Unix milliseconds after which nobody may get it. */
  readonly endsAt?: number;
  /** `acked`: PUBACK, PUBREC, ACK. `refused`: said so in the protocol. `unknown`: sent once, and no answer came. */
  is: "sent" | "acked" | "refused" | "unknown";
  /** Unix milliseconds of the acknowledgement. */
  ackedAt?: number;
}

/** One arrival at a party: what its program was handed. */
export interface Got {
  readonly id: string;
  readonly channel: string;
  readonly qos: number;
  readonly at: number;
}

/** What is sent. */
export type Letter = Pick<Sent, "party" | "channel" | "qos"> &
  Partial<Pick<Sent, "retain" | "clears" | "endsAt">>;

/** The count kept outside the gateway: everything published, acknowledged and received. */
export interface Book {
  readonly sent: readonly Sent[];
  find(id: string): Sent | undefined;
  /** Notes a publish that is about to leave. */
  send(letter: Letter): Sent;
  settle(sent: Sent, is: "acked" | "refused" | "unknown"): void;
  receive(party: string, got: Omit<Got, "at">): void;
  /** Everything a party got, in order. */
  got(party: string): readonly Got[];
  /** How often each message came to a party. */
  copies(party: string): ReadonlyMap<string, number>;
  readonly acked: number;
  readonly received: number;
  /**
   * Resolves when `condition` holds; it is asked at every change of the book and ten times a second. Rejects `within`
   * milliseconds after `since` with what `missing` says, and at once when the book is closed.
   */
  until(condition: () => boolean, options: Waiting): Promise<void>;
  /** Something changed that the book does not hold: conditions are asked again. */
  touch(): void;
  /** Ends all waiting with that fault. */
  fail(fault: Error): void;
}

/** How long something is waited for, and what is said when it did not come. */
export interface Waiting {
  readonly missing: () => string;
  /** Milliseconds; a limit against hanging, far above what is needed. Default two minutes. */
  readonly within?: number;
  /** From when on they count, as `performance.now()` has it. Default: from the call. */
  readonly since?: () => number;
}

const WITHIN_MS = 120_000;
const ASK_AGAIN_MS = 100;

/** Opens an empty book. */
export function openBook(): Book {
  const sent: Sent[] = [];
  const byId = new Map<string, Sent>();
  const places = new Map<string, number>();
  const arrivals = new Map<string, Got[]>();
  const copies = new Map<string, Map<string, number>>();
  const lookers = new Set<() => void>();
  let fault: Error | undefined;
  let acked = 0;
  let received = 0;
  const changed = (): void => {
    for (const look of lookers) look();
  };
  return {
    sent,
    find: (id) => byId.get(id),
    send({ party, channel, qos, retain = false, clears = false, endsAt }) {
      const place = (places.get(channel) ?? 0) + 1;
      places.set(channel, place);
      const id = `${channel}#${place}`;
      const fixed = { id, party, channel, qos, retain, clears, place, sentAt: Date.now() };
      const one: Sent = { ...fixed, ...(endsAt !== undefined && { endsAt }), is: "sent" };
      sent.push(one);
      byId.set(id, one);
      return one;
    },
    settle(one, is) {
      if (one.is !== "sent") return;
      one.is = is;
      if (is === "acked") {
        one.ackedAt = Date.now();
        acked += 1;
      }
      changed();
    },
    receive(party, got) {
      received += 1;
      const list = arrivals.get(party) ?? [];
      arrivals.set(party, list);
      list.push({ ...got, at: Date.now() });
      const counts = copies.get(party) ?? new Map<string, number>();
      copies.set(party, counts);
      counts.set(got.id, (counts.get(got.id) ?? 0) + 1);
      changed();
    },
    got: (party) => arrivals.get(party) ?? [],
    copies: (party) => copies.get(party) ?? new Map(),
    get acked() {
      return acked;
    },
    get received() {
      return received;
    },
    until(condition, { missing, within = WITHIN_MS, since }) {
      return new Promise((resolve, reject) => {
        const calledAt = performance.now();
        const end = (): void => {
          lookers.delete(look);
          clearInterval(again);
        };
        const look = (): void => {
          const isThere = fault === undefined && condition();
          if (!isThere && fault === undefined) return;
          end();
          if (fault === undefined) resolve();
          else reject(fault);
        };
        const again = setInterval(() => {
          look();
          if (!lookers.has(look) || performance.now() - (since?.() ?? calledAt) < within) return;
          end();
          reject(new Error(`not within ${within / 1000} s: ${missing()}`));
        }, ASK_AGAIN_MS);
        lookers.add(look);
        look();
      });
    },
    touch: changed,
    fail(why) {
      fault ??= why;
      changed();
    },
  };
}
