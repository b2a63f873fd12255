import type {
  Draft,
  Message,
  Outcome,
  Peer,
  Port,
  Principal,
  PublishOptions,
  Receipt,
  StateChange,
} from "@nomq/core";
import { filterMatches, NomqError, type SessionEntry, silentLog } from "@nomq/core";
import type { FakeClock } from "@nomq/core/testing";
import { createFakeClock } from "@nomq/core/testing";

/** A publish that the bridge has made. */
export interface Published {
  readonly draft: Draft;
  readonly from: Principal;
  readonly options: PublishOptions;
  readonly answer: (receipt: Partial<Receipt>) => void;
  readonly fail: (error: Error) => void;
  /** What whoever follows the message hears last. */
  readonly finish: (receipt: Partial<Receipt>) => void;
}

/** Changes of state that the bridge has asked to have remembered. */
export interface Remembering {
  readonly changes: readonly StateChange[];
  readonly land: () => void;
  readonly fail: (error: Error) => void;
}

async function* stateOf({ state }: Pick<ToyHub, "state">): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  yield* state.values();
}

function keep({ state }: Pick<ToyHub, "state">, key: Uint8Array, value: Uint8Array | undefined): void {
  const name = Buffer.from(key).toString("latin1");
  if (value === undefined) state.delete(name);
  else state.set(name, [key, value]);
}

/** A hub whose every answer the test decides. */
export interface ToyHub {
  readonly port: Port;
  readonly clock: FakeClock;
  readonly published: Published[];
  readonly released: string[];
  readonly filters: Set<string>;
  /** Filters that no attachment may have. */
  readonly refusedFilters: Set<string>;
  readonly retained: Map<string, Message>;
  readonly warnings: (readonly [string, object | undefined])[];
  /** What the bridge recorded in the session log. */
  readonly recorded: SessionEntry[];
  /** Publishes at QoS 1 and 2 and retained ones wait for the test. Default false: all are stored at once. */
  holding: boolean;
  /** What the bridge remembers waits for the test. Default false. */
  holdingState: boolean;
  /** What it has asked to have remembered. */
  readonly remembering: Remembering[];
  /** What it remembers, by key. */
  readonly state: Map<string, readonly [key: Uint8Array, value: Uint8Array]>;
  /** A message of an earlier run: what is called with the receipt that whoever follows it hears. */
  earlier(id: string): (receipt: Receipt) => void;
  forbidden: (action: string, channel: string) => boolean;
  /** Tells the bridge that {@link forbidden} is another. */
  accessChanged(): void;
  deliver(message: Partial<Message>, expiresInMs?: number): Promise<Outcome>;
}

let seq = 0;

export function messageOf(given: Partial<Message>): Message {
  seq += 1;
  return {
    id: String(seq),
    seq,
    channel: "a",
    payload: Buffer.from("payload"),
    qos: 0,
    retain: false,
    priority: 0,
    publishedAt: 0,
    origin: "test",
    ...given,
  };
}

export function createToyHub(
  given: {
    readonly clock?: FakeClock;
    readonly state?: readonly (readonly [Uint8Array, Uint8Array])[];
    readonly clockSetBy?: number;
  } = {},
): ToyHub {
  let peer: Peer | undefined;
  const clock = given.clock ?? createFakeClock();
  const finals = new Map<string, Promise<Receipt>>();
  const receiptOf = (id: string, draft: Draft, receipt: Partial<Receipt>): Receipt => ({
    id,
    channel: draft.channel,
    at: "stored",
    outcomes: [],
    ...receipt,
  });
  const retain = (draft: Draft): void => {
    if (draft.retain !== true) return;
    if (draft.payload.length === 0) hub.retained.delete(draft.channel);
    else hub.retained.set(draft.channel, messageOf({ ...draft, retain: true }));
  };
  const publish: Port["publish"] = (draft, from, options = {}) =>
    new Promise((resolve, reject) => {
      const answer = (receipt: Partial<Receipt>): void => {
        if (receipt.at !== "refused") retain(draft);
        resolve(receiptOf(id, draft, receipt));
      };
      const id = `r${hub.published.length}`;
      const final = Promise.withResolvers<Receipt>();
      finals.set(id, final.promise);
      const finish = (receipt: Partial<Receipt>): void => final.resolve(receiptOf(id, draft, receipt));
      hub.published.push({ draft, from, options, answer, fail: reject, finish });
      if (!hub.holding || (draft.qos === 0 && draft.retain !== true)) answer({});
    });
  async function* retained(filters: readonly string[]): AsyncGenerator<Message> {
    for (const message of hub.retained.values()) {
      if (filters.some((filter) => filterMatches(filter, message.channel))) yield message;
    }
  }
  async function* follow(
    id: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Receipt> {
    if (signal?.aborted === true) return;
    const aborted = new Promise<undefined>((resolve) =>
      signal?.addEventListener("abort", () => resolve(undefined)),
    );
    const last = await Promise.race([finals.get(id), aborted]);
    if (last !== undefined) yield last;
  }
  const attach: Port["attach"] = async (given) => {
    peer = given;
    hub.filters.clear();
    for (const filter of given.filters ?? []) hub.filters.add(filter);
    return {
      name: given.name,
      change: async ({ add = [], remove = [] }) => {
        const bad = add.find((filter) => hub.refusedFilters.has(filter));
        if (bad !== undefined) throw new NomqError("filter-invalid", bad);
        for (const filter of add) hub.filters.add(filter);
        for (const filter of remove) hub.filters.delete(filter);
      },
      pause: () => undefined,
      resume: () => undefined,
      repair: () => undefined,
      ledger: () => {
        throw new Error("not asked for");
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  const unused = (): never => {
    throw new Error("not asked for");
  };
  const accessChanged = new Set<() => void>();
  const hub: ToyHub = {
    clock,
    published: [],
    released: [],
    filters: new Set(),
    refusedFilters: new Set(),
    retained: new Map(),
    warnings: [],
    recorded: [],
    holding: false,
    holdingState: false,
    remembering: [],
    state: new Map((given.state ?? []).map((one) => [Buffer.from(one[0]).toString("latin1"), one])),
    earlier(id) {
      const final = Promise.withResolvers<Receipt>();
      finals.set(id, final.promise);
      return final.resolve;
    },
    forbidden: () => false,
    accessChanged() {
      for (const changed of accessChanged) changed();
    },
    async deliver(message, expiresInMs) {
      if (peer === undefined) throw new Error("no peer is attached");
      const expires = expiresInMs === undefined ? {} : { expiresInMs };
      const signal = new AbortController().signal;
      const outcome = await peer.deliver(messageOf(message), {
        attempt: 1,
        cause: "live",
        signal,
        ...expires,
      });
      if (outcome.is === "delivered") for (const { key, value } of outcome.state ?? []) keep(hub, key, value);
      return outcome;
    },
    port: {
      publish,
      attach,
      retained,
      release: (once) => void hub.released.push(once),
      may: (_who, action, channel) => !hub.forbidden(action, channel),
      extent: (_who, action, filter) => (hub.forbidden(action, filter) ? "none" : "some"),
      onAccessChange: (changed) => {
        accessChanged.add(changed);
        return () => accessChanged.delete(changed);
      },
      state: () => stateOf(hub),
      remember: (changes) =>
        new Promise((resolve, reject) => {
          const land = (): void => {
            for (const { key, value } of changes) keep(hub, key, value);
            resolve();
          };
          hub.remembering.push({ changes, land, fail: reject });
          if (!hub.holdingState) land();
        }),
      latest: unused,
      latestNow: unused,
      history: unused,
      channels: unused,
      receipt: unused,
      follow,
      clock,
      clockSetBy: () => given.clockSetBy ?? 0,
      log: { ...silentLog, warn: (text, fields) => void hub.warnings.push([text, fields]) },
      sessionLog: { record: (entry) => void hub.recorded.push(entry) },
    },
  };
  return hub;
}
