import { randomBytes } from "node:crypto";
import type { ChannelsOptions, HistoryRange, Port, Receipt } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import type { Message } from "../message.ts";
import { type Access, extentOf, type Principal } from "../principal.ts";
import { attach, checkFilters } from "./attach/attachment.ts";
import { type Core, isTombstone } from "./core.ts";
import { publish } from "./publish.ts";
import { recallReceipt } from "./recall-receipt.ts";
import { followRecord } from "./receipts.ts";

const PAGE = 256;

/** A port onto a hub that may not be open yet or not any more. */
export function createPort(
  name: string,
  hub: {
    core(): Core;
    openCore(): Core | undefined;
    readonly access: Access;
    readonly clock: Port["clock"];
    readonly log: Port["log"];
    readonly sessionLog: Port["sessionLog"];
  },
): Port {
  return {
    clock: hub.clock,
    clockSetBy: () => hub.core().clockSetBy,
    log: hub.log,
    sessionLog: hub.sessionLog,
    publish: (draft, from, options = {}) => {
      const core = hub.openCore();
      if (core === undefined) return Promise.resolve(closedReceipt(draft.channel));
      return publish(core, { owner: name, draft, from, options });
    },
    release: (once) => release(hub.core(), once),
    state: () => hub.core().store.state(name),
    remember: async (changes) => remember(hub.core(), name, changes),
    attach: async (peer, options) => attach(hub.core(), peer, { ...options, owner: name }),
    retained: (filters, as) => retained(hub.core(), filters, as),
    latest: async (channel, as) => latest(hub.core(), channel, as),
    latestNow: (channel, as) => latestNow(hub.core(), channel, as),
    history: (channel, range, as) => history(hub.core(), { channel, range }, as),
    channels: (filter, options) => channels(hub.core(), filter, options),
    may: (who, action, channel) => hub.access.may(who, action, channel),
    extent: (who, action, filter) => extentOf(hub.access, { who, action, filter }),
    onAccessChange: (changed) => hub.access.onChange?.(changed) ?? (() => undefined),
    receipt: async (id) => {
      const core = hub.core();
      return core.receipts.find(id)?.snapshot() ?? core.store.receipt(id);
    },
    follow: (id, options) => follow(hub.core(), id, options?.signal),
  };
}

/** A refusal is a receipt, also where there is no hub to refuse. */
function closedReceipt(channel: string): Receipt {
  return { id: randomBytes(16).toString("hex"), channel, at: "refused", reason: "closed", outcomes: [] };
}

function release(core: Core, once: string): void {
  const transfer = core.once.find(once);
  if (transfer === undefined) return;
  // Its message waits for its commit: the name ends with it.
  if (transfer.open !== undefined) transfer.isReleased = true;
  else {
    core.once.end(once);
    core.writer.fact({ write: "release", once });
  }
}

function remember(core: Core, owner: string, changes: Parameters<Port["remember"]>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    core.writer.enqueue({
      bytes: 0,
      decide: (batch) => {
        for (const change of changes) batch.facts.push({ write: "state", owner, ...change });
        return "commit";
      },
      committed: resolve,
      failed: () => void core.writer.landing().then(resolve, reject),
    });
  });
}

async function* retained(core: Core, filters: readonly string[], as: Principal): AsyncGenerator<Message> {
  checkFilters(core, filters);
  let after: string | undefined;
  for (;;) {
    const page = await core.store.retained(filters, {
      ...(after === undefined ? {} : { after }),
      limit: PAGE,
    });
    const { version } = core.changes;
    for (const found of page) {
      if (!core.access.may(as, "subscribe", found.channel)) continue;
      // Each value as it is when it is asked for.
      const isFresh = core.changes.version === version;
      const value = isFresh ? current(core, found) : await latest(core, found.channel, as);
      if (value !== undefined) yield value;
    }
    after = page.at(-1)?.channel;
    if (page.length < PAGE) return;
  }
}

async function latest(core: Core, channel: string, as: Principal): Promise<Message | undefined> {
  if (!core.access.may(as, "subscribe", channel)) return undefined;
  const reading = core.latest.reading(channel);
  try {
    const value = await core.store.latest(channel);
    core.latest.learned(channel, reading, value);
    return value === undefined ? undefined : current(core, value);
  } catch (error) {
    core.latest.failed(channel, reading);
    throw error;
  }
}

function latestNow(core: Core, channel: string, as: Principal): Message | "none" | undefined {
  // What waits for its commit may be in the store already, and was perhaps read there.
  if (core.changes.has(channel)) return undefined;
  if (!core.access.may(as, "subscribe", channel)) return "none";
  const known = core.latest.get(channel);
  return typeof known === "object" ? (current(core, known) ?? "none") : known;
}

/** The right is asked for again before each message: it may end while the history is read. */
async function* history(
  core: Core,
  { channel, range }: { readonly channel: string; readonly range: HistoryRange },
  as: Principal,
): AsyncGenerator<Message> {
  if (!core.access.may(as, "subscribe", channel)) return;
  for await (const message of core.store.history(channel, range)) {
    if (!core.access.may(as, "subscribe", channel)) return;
    if (!core.time.isExpired(message)) yield core.time.today(message);
  }
}

/** The value unless cleared or expired, its expiry in today's wall time. */
function current(core: Core, value: Message): Message | undefined {
  return isTombstone(value) || core.time.isExpired(value) ? undefined : core.time.today(value);
}

function channels(core: Core, filter: string, options: ChannelsOptions | undefined): AsyncIterable<string> {
  checkFilters(core, [filter]);
  return core.channels.list(filter, options);
}

async function* follow(
  core: Core,
  id: string,
  signal: AbortSignal | undefined,
): ReturnType<typeof followRecord> {
  const record = await recallReceipt(core, id);
  if (record !== undefined) yield* followRecord(record, signal);
}

/** What every call says before the hub is open and after it is closed. */
export function notOpen(): NomqError {
  return new NomqError("closed", "the hub is not open; call start() first, and nothing after it is disposed");
}
