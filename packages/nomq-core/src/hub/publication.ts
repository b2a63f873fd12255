import type { PublishOptions } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import type { Message } from "../message.ts";
import { isFull, targetsOf } from "./admission.ts";
import { breakSeries, type Core, isSeriesBroken } from "./core.ts";
import { oweForGood } from "./keeper.ts";
import type { Place } from "./place.ts";
import type { ReceiptRecord } from "./receipts.ts";
import type { Step } from "./step.ts";
import type { Write } from "./store.ts";

/** What a publisher can act on is told by its own name. */
const TOLD: ReadonlySet<string> = new Set(["closed", "store-full", "store-busy"]);

const NOBODY: readonly string[] = [];

/** A message that must be committed before it enters any outbox: decided in the queue's order. */
export class Publication implements Step {
  readonly bytes: number;
  private readonly core: Core;
  private readonly owner: string;
  private readonly message: Message;
  private readonly options: PublishOptions;
  private readonly source: Place | undefined;
  private readonly record: ReceiptRecord;
  private readonly owesSource: boolean;
  private readonly ended: (core: Core, once: string | undefined, isKept: boolean) => void;
  private targets: Place[] = [];
  /** Who has a row; who keeps room until the commit. Mostly nobody. */
  private stored: Set<Place> | undefined;
  private reserved: Place[] | undefined;

  constructor(options: {
    core: Core;
    owner: string;
    message: Message;
    bytes: number;
    options: PublishOptions;
    source: Place | undefined;
    record: ReceiptRecord;
    owesSource: boolean;
    /** Told when the transfer's message is committed or lost. */
    ended: (core: Core, once: string | undefined, isKept: boolean) => void;
  }) {
    this.bytes = options.bytes;
    this.core = options.core;
    this.owner = options.owner;
    this.message = options.message;
    this.options = options.options;
    this.source = options.source;
    this.record = options.record;
    this.owesSource = options.owesSource;
    this.ended = options.ended;
  }

  decide(batch: { offers: Write[]; facts: Write[] }): "commit" | "done" {
    const { core, message, owner } = this;
    const { marks = [], once, state } = this.options;
    if (state !== undefined)
      for (const change of state) batch.facts.push({ write: "state", owner, ...change });
    if (isSeriesBroken(core, this.options)) {
      this.refuse("out-of-order");
      return "done";
    }
    this.targets = targetsOf(core, message.channel, { source: this.source, isQueued: true });
    const full = message.qos === 0 ? undefined : this.targets.find((place) => isFull(place, this.bytes));
    if (full !== undefined) {
      this.targets = [];
      this.refuse(`outbox-full: ${full.name}`);
      // Its state is a fact all the same.
      return "done";
    }
    const to = this.reserve();
    batch.offers.push(
      once === undefined ? { write: "message", message, to } : { write: "message", message, to, once },
    );
    for (const change of marks) batch.offers.push({ write: "state", owner, ...change });
    for (const place of this.targets) this.record.expect(place.name, message.publishedAt);
    core.receipts.keep(message.seq, this.record);
    this.record.accepted();
    return "commit";
  }

  committed(): void {
    const { core, message } = this;
    core.appliedSeq = Math.max(core.appliedSeq, message.seq);
    if (message.retain) core.latest.landed(message);
    this.release();
    this.ended(core, this.options.once, true);
    this.record.stored();
    const deadline = core.time.deadline(message);
    const { bytes, record } = this;
    for (let slot = 0; slot < this.targets.length; slot += 1) {
      const place = this.targets[slot];
      if (place === undefined) continue;
      const isStored = this.stored?.has(place) === true;
      core.engine.enter(place, { message, bytes, isStored, deadline, record, slot });
    }
    this.rest(this.owesSource);
  }

  failed(error: unknown): void {
    this.release();
    this.refuse(error instanceof NomqError && TOLD.has(error.code) ? error.code : "store-failed");
  }

  private refuse(reason: string): void {
    breakSeries(this.core, this.options);
    this.ended(this.core, this.options.once, false);
    this.record.refuse(reason);
    this.rest(true);
  }

  /** The change waits no more: who was owed the channel may get it. */
  private rest(owesSource: boolean): void {
    const { core, message, source } = this;
    if (!message.retain) return;
    const { channel } = message;
    if (source !== undefined && owesSource && source.wants(channel) && core.engine.mayGet(source, channel)) {
      core.engine.owe(source, channel, "repair");
      if (this.record.at === "refused") oweForGood(core, source, channel);
    }
    for (const place of core.changes.end(message.channel)) {
      core.engine.route(place, message.channel);
      core.engine.pump(place);
    }
  }

  /** Keeps room until the commit; names who has a row. */
  private reserve(): readonly string[] {
    const { message } = this;
    if (this.targets.length === 0) return NOBODY;
    const isNow = message.expiresAt === message.publishedAt;
    const to: string[] = [];
    for (const place of this.targets) {
      if (place.outbox.limits.whenFull === "refuse" && message.qos > 0) {
        place.outbox.reserve(this.bytes);
        this.reserved ??= [];
        this.reserved.push(place);
      }
      // A QoS 0 change has a row only where older rows are not in memory: it must not overtake them.
      const isBehind = place.outbox.tail.messages > 0 || place.binding === undefined;
      if (!place.isDurable || isNow || (message.qos === 0 && !isBehind)) continue;
      to.push(place.name);
      this.stored ??= new Set();
      this.stored.add(place);
    }
    return to;
  }

  private release(): void {
    for (const place of this.reserved ?? []) place.outbox.release(this.bytes);
    this.reserved = undefined;
  }
}
