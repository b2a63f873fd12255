import type { Delivery, Outcome } from "../bridge.ts";
import type { Core, End } from "./core.ts";
import type { Entry, Lane } from "./lane.ts";
import type { Binding, Place } from "./place.ts";
import { nextOwed, sendOwed } from "./repairs.ts";
import { isWithdrawable } from "./revocation.ts";

/** How often in a row a lane is tried at once when its peer names no time. */
const EAGER_RETRIES = 16;
const RETRY_MS = 100;
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/** Opens calls while the window, the lanes and this turn of the event loop allow. */
export function pump(core: Core, place: Place): void {
  const binding = place.active();
  if (binding === undefined || place.isPumping || place.isDeferred) return;
  place.isPumping = true;
  while (place.active() === binding && binding.open < binding.window) {
    if (core.turn.spent()) {
      place.isDeferred = true;
      core.turn.defer(() => {
        place.isDeferred = false;
        pump(core, place);
      });
      break;
    }
    if (!openNext(core, place, binding)) break;
  }
  place.isPumping = false;
}

/** Calls the peer with a message that is in the outbox and may be called. */
export function call(core: Core, place: Place, entry: Entry): void {
  const { binding } = place;
  const { lane, message } = entry;
  if (binding === undefined || lane === undefined) return;
  place.outbox.take(entry, "open");
  lane.open += 1;
  binding.open += 1;
  entry.attempt += 1;
  const { attempt } = entry;
  if (binding.peer.echoes !== false) place.echoes.sent(core.prints.of(message), core.time.monotonic());
  const own = isWithdrawable(core, place) ? new AbortController() : undefined;
  entry.withdraw = own;
  if (own !== undefined) binding.calls.add(own);
  const answered = (outcome: Outcome): void => {
    if (own !== undefined) binding.calls.delete(own);
    answer(core, place, { binding, entry, attempt, outcome });
  };
  deliver(core, { binding, entry }).then(answered, (error: unknown) => {
    core.log.warn("a delivery was rejected; it counts as retry", {
      attachment: place.name,
      error: String(error),
    });
    answered({ is: "retry", reason: "rejected" });
  });
  if (binding.isOrdered) place.outbox.offer(lane, true);
}

/** Ends all calls of a binding that is over: no answer counts as retry. */
export function endCalls(place: Place): void {
  for (const lane of place.outbox.lanes.values()) {
    for (let entry = lane.head; entry !== undefined; entry = entry.after) {
      if (entry.state === "open") place.outbox.wait(entry);
    }
    lane.open = 0;
    lane.isRetrying = false;
    lane.isBlocked = false;
    lane.unblock = undefined;
    place.outbox.rewind(lane);
  }
}

/** The peer is back: lanes that wait after a retry need not wait longer. */
export function endWaits(place: Place): void {
  for (const lane of place.outbox.lanes.values()) lane.unblock?.();
}

function openNext(core: Core, place: Place, binding: Binding): boolean {
  const { outbox } = place;
  const entry = outbox.peek(binding.isOrdered);
  const item = nextOwed(core, place, binding);
  if (
    item !== undefined &&
    (entry === undefined || (entry.message.priority === 0 && entry.message.seq > item.order))
  ) {
    sendOwed(core, place, { binding, item });
    return true;
  }
  if (entry === undefined) return false;
  outbox.pop();
  const end = core.engine.fateOf(place, entry);
  if (end !== undefined) core.engine.finish(place, entry, end);
  else if (entry.isStored && entry.message.qos === 2 && entry.marked <= entry.attempt)
    mark(core, place, entry);
  else call(core, place, entry);
  return true;
}

/** QoS 2: commits the attempt, checks again, then calls. */
function mark(core: Core, place: Place, entry: Entry): void {
  const { binding } = place;
  const { lane } = entry;
  if (binding === undefined || lane === undefined) return;
  const attempt = entry.attempt + 1;
  place.outbox.take(entry, "preparing");
  lane.preparing += 1;
  binding.open += 1;
  const marked = (isCommitted: boolean): void => {
    lane.preparing -= 1;
    binding.open -= 1;
    if (isCommitted) entry.marked = attempt;
    if (entry.state === "preparing") {
      place.outbox.wait(entry);
      place.outbox.rewind(lane);
      if (isCommitted) place.outbox.offer(lane, place.binding?.isOrdered === true);
      else block(core, place, { lane, ms: RETRY_MS });
    }
    rest(core, place, binding);
  };
  core.writer.enqueue({
    bytes: 0,
    decide: (batch) => {
      batch.offers.push({ write: "open", name: place.name, seq: entry.message.seq, attempt });
      return "commit";
    },
    committed: () => marked(true),
    failed: () => marked(false),
  });
}

function deliver(core: Core, call: { binding: Binding; entry: Entry }): Promise<Outcome> {
  const { binding, entry } = call;
  const { attempt, cause, deadline, message } = entry;
  const signal = entry.withdraw?.signal ?? binding.signal;
  const left =
    deadline === Number.POSITIVE_INFINITY ? undefined : Math.round(deadline - core.time.monotonic());
  const delivery: Delivery =
    left === undefined
      ? { attempt, cause, signal }
      : { attempt, cause, signal, expiresInMs: Math.max(0, left) };
  try {
    return Promise.resolve(binding.peer.deliver(core.time.today(message), delivery));
  } catch (error) {
    return Promise.reject(error);
  }
}

function answer(
  core: Core,
  place: Place,
  answered: { binding: Binding; entry: Entry; attempt: number; outcome: Outcome },
): void {
  const { binding, entry, attempt, outcome } = answered;
  const { lane } = entry;
  if (binding.isOver || entry.state !== "open" || entry.attempt !== attempt || lane === undefined) return;
  lane.open -= 1;
  binding.open -= 1;
  const end = endOf(core, binding.owner, outcome);
  if (end !== undefined) {
    lane.retries = 0;
    if (end.is === "delivered" && entry.message.retain) lane.taken = Math.max(lane.taken, entry.message.seq);
    if (entry.cause !== "live" && end.is !== "delivered") fail(place, entry.message.channel);
    core.engine.finish(place, entry, end);
  } else retry(core, place, { entry, lane, outcome });
  if (lane.isRetrying && lane.open === 0) startAgain(core, place, lane);
  rest(core, place, binding);
}

/** The final outcome an answer names; undefined is retry, which is also what no answer counts as. */
function endOf(core: Core, owner: string, outcome: Outcome | undefined): End | undefined {
  if (outcome === undefined) {
    core.log.error("a peer answered a delivery with nothing; it counts as retry");
    return undefined;
  }
  switch (outcome.is) {
    case "delivered":
      return outcome.state === undefined
        ? { is: "delivered" }
        : {
            is: "delivered",
            state: outcome.state.map((change) => ({ write: "state", owner, ...change })),
          };
    case "uncertain":
    case "refused":
      return { is: outcome.is, reason: outcome.reason };
    case "retry":
      return undefined;
  }
}

function fail(place: Place, channel: string): void {
  place.owed.failures.set(channel, (place.owed.failures.get(channel) ?? 0) + 1);
}

function retry(core: Core, place: Place, answered: { entry: Entry; lane: Lane; outcome: Outcome }): void {
  const { entry, lane, outcome } = answered;
  lane.isRetrying = true;
  lane.retries += 1;
  const asked = outcome?.is === "retry" ? outcome.afterMs : undefined;
  const ms = asked ?? (lane.retries > EAGER_RETRIES ? RETRY_MS : 0);
  lane.retryMs = Math.max(lane.retryMs, ms > 0 ? Math.min(ms, LONGEST_WAIT_MS) : 0);
  place.outbox.wait(entry);
  const { channel, retain, seq } = entry.message;
  // It comes again after a newer change, and would leave its peer with the older value.
  if (retain && seq < lane.taken) core.engine.owe(place, channel, "repair");
  const end = entry.withdraw === undefined ? undefined : core.engine.fateOf(place, entry);
  if (end?.reason === "access") core.engine.finish(place, entry, end);
  else if (entry.deadline <= core.time.monotonic()) core.engine.finish(place, entry, { is: "expired" });
}

/** All open calls of a lane with a retry have answered: it starts again at its oldest message, in time. */
function startAgain(core: Core, place: Place, lane: Lane): void {
  const ms = lane.retryMs;
  lane.isRetrying = false;
  lane.retryMs = 0;
  place.outbox.rewind(lane);
  if (ms > 0) block(core, place, { lane, ms });
  else place.outbox.offer(lane, place.binding?.isOrdered === true);
}

function block(core: Core, place: Place, wait: { lane: Lane; ms: number }): void {
  const { lane, ms } = wait;
  const unblock = (): void => {
    if (lane.unblock !== unblock) return;
    lane.unblock = undefined;
    lane.isBlocked = false;
    place.outbox.offer(lane, place.binding?.isOrdered === true);
  };
  lane.isBlocked = true;
  lane.unblock = unblock;
  core.engine.later(place, ms, () => {
    unblock();
    core.engine.pump(place);
  });
}

function rest(core: Core, place: Place, binding: Binding): void {
  if (binding.open === 0) binding.whenIdle?.();
  core.engine.pump(place);
}
