import type { PublishOptions, Receipt } from "../bridge.ts";
import { type Draft, isValidChannel, type Message } from "../message.ts";
import type { Principal } from "../principal.ts";
import { isFull, targetsOf } from "./admission.ts";
import { breakSeries, type Core, isSeriesBroken } from "./core.ts";
import { areTextsValid } from "./draft-texts.ts";
import { printOf } from "./echo.ts";
import { oweForGood } from "./keeper.ts";
import { messageBytes } from "./lane.ts";
import type { Place } from "./place.ts";
import { Publication } from "./publication.ts";
import { recallReceipt } from "./recall-receipt.ts";
import { awaitRecord, ReceiptRecord } from "./receipts.ts";
import { hasChange } from "./repairs.ts";

/** One call of {@link Port.publish}. */
export interface PublishCall {
  /** The port's name: the origin of what comes through no attachment. */
  readonly owner: string;
  readonly draft: Draft;
  readonly from: Principal;
  readonly options: PublishOptions;
}

/** Decides, commits what must last, delivers; resolves at the point asked for. */
export function publish(core: Core, call: PublishCall): Promise<Receipt> {
  const { draft, options } = call;
  const source = options.attachment === undefined ? undefined : core.places.get(options.attachment);
  const fault = faultOf(core, call);
  if (fault !== undefined) return inTurn(core, refuse(core, { draft, source, reason: fault }));
  const { once } = options;
  if (once !== undefined && core.once.find(once) !== undefined) return repeat(core, call, once);
  if (source !== undefined && isEcho(core, source, draft)) {
    if (draft.retain === true) oweSource(core, source, draft.channel);
    const id = core.numbers.idOf(core.numbers.next());
    return inTurn(core, { id, channel: draft.channel, at: "stored", reason: "echo", outcomes: [] });
  }
  if (isSeriesBroken(core, options)) {
    return inTurn(core, refuse(core, { draft, source, reason: "out-of-order" }));
  }
  core.channels.learn(draft.channel);
  const message = toMessage(core, draft, options.attachment ?? call.owner);
  const isQueued = message.retain || (message.qos > 0 && message.expiresAt !== message.publishedAt);
  return isQueued
    ? publishQueued(core, { ...call, source, message })
    : publishNow(core, { ...call, source, message });
}

interface Publishing extends PublishCall {
  readonly source: Place | undefined;
  readonly message: Message;
}

/** QoS 0 and TTL 0 leave nothing in the store: they go at once. */
function publishNow(core: Core, publishing: Publishing): Promise<Receipt> {
  const { message, options, source } = publishing;
  const bytes = messageBytes(message);
  const targets = targetsOf(core, message.channel, { source, isQueued: false });
  const full = message.qos === 0 ? undefined : targets.find((place) => isFull(place, bytes));
  if (full !== undefined) {
    breakSeries(core, options);
    return inTurn(core, refuse(core, { draft: message, source, reason: `outbox-full: ${full.name}` }));
  }
  const record = new ReceiptRecord(message.id, message.channel);
  record.at = "stored";
  core.receipts.keep(message.seq, record);
  keepBeside(core, publishing, record);
  for (const place of targets) record.expect(place.name, message.publishedAt);
  const deadline = core.time.deadline(message);
  for (let slot = 0; slot < targets.length; slot += 1) {
    const place = targets[slot];
    if (place !== undefined)
      core.engine.enter(place, { message, bytes, isStored: false, deadline, record, slot });
  }
  const { until = "stored", signal } = options;
  if (until === "delivered") return awaitRecord(record, until, signal);
  return inTurn(core, record.snapshot());
}

/** What goes with a message that goes at once: its transfer's name and the bridge's state are committed behind it. */
function keepBeside(core: Core, publishing: Publishing, record: ReceiptRecord): void {
  const { message, options, owner } = publishing;
  const { marks = [], once, state = [] } = options;
  if (once === undefined && state.length + marks.length === 0) return;
  if (once !== undefined) beginTransfer(core, publishing, record);
  core.writer.enqueue({
    bytes: 0,
    decide: (batch) => {
      for (const change of [...state, ...marks]) batch.facts.push({ write: "state", owner, ...change });
      if (once !== undefined) batch.offers.push({ write: "message", message, to: [], once });
      return "commit";
    },
    committed: () => endTransfer(core, once, true),
    // Kept in memory: the message has gone out.
    failed: () => endTransfer(core, once, true),
  });
}

function publishQueued(core: Core, publishing: Publishing): Promise<Receipt> {
  const { message, options, source } = publishing;
  const bytes = messageBytes(message);
  if (!core.writer.hasRoom(bytes)) {
    breakSeries(core, options);
    return inTurn(core, refuse(core, { draft: message, source, reason: "store-busy" }));
  }
  const owesSource = message.retain && source !== undefined && isUnsettled(core, source, message.channel);
  const record = new ReceiptRecord(message.id, message.channel);
  if (options.once !== undefined) beginTransfer(core, publishing, record);
  if (message.retain) core.changes.begin(message.channel);
  const { owner } = publishing;
  core.writer.enqueue(
    new Publication({ core, owner, message, bytes, options, source, record, owesSource, ended: endTransfer }),
  );
  return awaitRecord(record, options.until ?? "stored", options.signal);
}

function beginTransfer(core: Core, publishing: Publishing, record: ReceiptRecord): void {
  const { message, options, owner } = publishing;
  if (options.once === undefined) return;
  const scope = options.attachment ?? owner;
  core.once.begin(options.once, { scope, now: core.time.monotonic(), id: message.id, record });
}

/** The transfer's message is committed, or not: then the same key may come again. */
function endTransfer(core: Core, once: string | undefined, isKept: boolean): void {
  const transfer = once === undefined ? undefined : core.once.find(once);
  if (once === undefined || transfer === undefined) return;
  transfer.open = undefined;
  if (isKept && !transfer.isReleased) return;
  core.once.end(once);
  if (isKept) core.writer.fact({ write: "release", once });
}

/** The same transfer again: the first receipt, and nothing is routed. */
async function repeat(core: Core, call: PublishCall, once: string): Promise<Receipt> {
  const transfer = core.once.find(once);
  const { draft, options } = call;
  const id = transfer?.id ?? "";
  const record = transfer?.open ?? (await recalled(core, id));
  const receipt: Receipt =
    record === undefined
      ? { id, channel: draft.channel, at: "stored", outcomes: [] }
      : await awaitRecord(record, options.until ?? "stored", options.signal);
  return { ...receipt, repeated: true };
}

/** Of an earlier run's message, too, the answer waits for the point that is asked for. */
function recalled(core: Core, id: string): Promise<ReceiptRecord | undefined> {
  return recallReceipt(core, id).catch(() => undefined);
}

function faultOf(core: Core, call: PublishCall): string | undefined {
  const { channel, payload, priority = 0, qos = 0, ttlMs } = call.draft;
  if (!isValidChannel(channel)) return "channel-invalid";
  if (!Number.isInteger(priority) || priority < 0 || priority > 15) return "priority-invalid";
  if (qos !== 0 && qos !== 1 && qos !== 2) return "qos-invalid";
  if (ttlMs !== undefined && !(ttlMs >= 0 && ttlMs <= Number.MAX_SAFE_INTEGER / 2)) return "ttl-invalid";
  if (!areTextsValid(call.draft)) return "properties-invalid";
  if (payload.byteLength > core.limits.payload) return "too-large";
  if (!core.access.may(call.from, "publish", channel)) return "access";
  return core.longNames.take(channel) ? undefined : "long-names-full";
}

function refuse(core: Core, at: { draft: Draft; source: Place | undefined; reason: string }): Receipt {
  const { draft, source, reason } = at;
  if (draft.retain === true && source !== undefined && reason !== "channel-invalid") {
    oweSource(core, source, draft.channel);
    if (source.wants(draft.channel)) oweForGood(core, source, draft.channel);
  }
  const id = core.numbers.idOf(core.numbers.next());
  return { id, channel: draft.channel, at: "refused", reason, outcomes: [] };
}

/** The source believes in a state that is not the hub's: it is told which is. */
function oweSource(core: Core, source: Place, channel: string): void {
  if (!source.wants(channel) || !core.engine.mayGet(source, channel)) return;
  core.engine.owe(source, channel, "repair");
  core.engine.pump(source);
}

/** Whether an older change may still reach the source after its own. */
function isUnsettled(core: Core, source: Place, channel: string): boolean {
  if (core.changes.has(channel) || source.outbox.tail.messages > 0) return true;
  const lane = source.outbox.lanes.get(channel);
  return (lane?.preparing ?? 0) > 0 || hasChange(lane);
}

function isEcho(core: Core, source: Place, draft: Draft): boolean {
  if (source.binding?.peer.echoes === false) return false;
  return source.echoes.isEcho(printOf(draft.channel, draft.payload), core.time.monotonic());
}

function toMessage(core: Core, draft: Draft, origin: string): Message {
  const { channel, payload, qos = 0, retain = false, priority = 0, ttlMs } = draft;
  // Asked first: a step of the wall clock noticed here moves what was numbered before, not this message.
  const publishedAt = core.time.now();
  const seq = core.numbers.next();
  const message: { -readonly [K in keyof Message]: Message[K] } = {
    id: core.numbers.idOf(seq),
    seq,
    channel,
    payload,
    qos,
    retain,
    priority,
    publishedAt,
    origin,
  };
  if (ttlMs !== undefined) message.expiresAt = publishedAt + ttlMs;
  if (draft.contentType !== undefined) message.contentType = draft.contentType;
  if (draft.responseChannel !== undefined) message.responseChannel = draft.responseChannel;
  if (draft.correlation !== undefined) message.correlation = draft.correlation;
  if (draft.properties !== undefined) message.properties = draft.properties;
  return message;
}

/** A publisher in a loop of promises must let the event loop turn: its answer waits for the next turn. */
function inTurn(core: Core, receipt: Receipt): Promise<Receipt> {
  return core.turn.spent() ? core.turn.next().then(() => receipt) : Promise.resolve(receipt);
}
