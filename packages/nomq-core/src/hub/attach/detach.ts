import type { Core } from "../core.ts";
import { endCalls } from "../delivery.ts";
import { forgetKept } from "../keeper.ts";
import type { Binding, Place } from "../place.ts";
import { dropFilter } from "./steps.ts";

/** Open calls may end by themselves this long, then they are aborted and have as long as ABORT_MS to answer. */
const GRACE_MS = 5_000;
const ABORT_MS = 1_000;

/** Ends a binding: no new calls, time for the open ones, then abort. A volatile place ends with it. */
export function detach(core: Core, place: Place, binding: Binding | undefined): Promise<void> {
  if (binding === undefined) return Promise.resolve();
  binding.ended ??= endBinding(core, place, binding);
  return binding.ended;
}

async function endBinding(core: Core, place: Place, binding: Binding): Promise<void> {
  binding.isEnding = true;
  // Its turn in the queue: what was published before still counts as routed to it.
  if (!place.isDurable) core.writer.enqueue(leaveRoutes(core, place));
  await callsEnd(core, binding, GRACE_MS);
  binding.abort.abort();
  for (const own of binding.calls) own.abort();
  await callsEnd(core, binding, ABORT_MS);
  binding.isOver = true;
  if (place.binding === binding) place.binding = undefined;
  place.idleSince = core.time.monotonic();
  place.owed.scans.length = 0;
  place.owed.failures.clear();
  endCalls(place);
  if (!place.isDurable && place.goneAs === undefined) end(core, place, "detached");
}

/** Detaches, then deletes interest, rows and counts in one commit. */
export async function forget(core: Core, name: string): Promise<void> {
  const place = core.places.get(name);
  if (place === undefined && !core.past.has(name)) return;
  if (place !== undefined) await detach(core, place, place.binding);
  await new Promise<void>((resolve, reject) => {
    core.writer.enqueue({
      bytes: 0,
      isAlone: true,
      decide: (batch) => {
        // Somebody may have attached the name meanwhile.
        if (core.places.get(name)?.binding !== undefined) return "commit";
        if (place !== undefined && place.goneAs === undefined) end(core, place, "forgotten");
        if (place !== undefined) forgetKept(core, place);
        for (const filter of [...(place?.filters ?? [])])
          if (place !== undefined) dropFilter(core, place, filter);
        core.past.delete(name);
        core.writer.discountsOf(name);
        batch.facts.push({ write: "forget", name, at: core.time.clock.now() });
        return "commit";
      },
      committed: resolve,
      // A fact: the next commit takes it.
      failed: () => void core.writer.landing().then(resolve, reject),
    });
  });
}

/** Everything the place still holds is dropped; the place takes nothing more. */
function end(core: Core, place: Place, reason: "detached" | "forgotten"): void {
  place.goneAs = reason;
  place.owed.clear();
  for (const entry of [...place.outbox.entries()])
    core.engine.finish(place, entry, { is: "dropped", reason });
  for (const cancel of place.timers) cancel();
  place.timers.clear();
  dropTail(core, place, reason);
  core.places.delete(place.name);
  core.remember(place.name, place.counts);
}

/** What is in the store only: counted, and told to the receipts this run remembers. */
function dropTail(core: Core, place: Place, reason: string): void {
  const { tail } = place.outbox;
  if (tail.messages === 0) return;
  place.counts.drop(reason, tail.messages);
  core.receipts.settleAll(place.name, { is: "dropped", reason, at: core.time.clock.now() });
  tail.messages = 0;
  tail.bytes = 0;
}

function leaveRoutes(core: Core, place: Place): Parameters<Core["writer"]["enqueue"]>[0] {
  return {
    bytes: 0,
    decide: () => {
      for (const filter of [...place.filters]) dropFilter(core, place, filter);
      return "done";
    },
    committed: () => undefined,
    failed: () => undefined,
  };
}

function callsEnd(core: Core, binding: Binding, ms: number): Promise<void> {
  if (binding.open === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      binding.whenIdle = undefined;
      resolve();
    };
    const cancel = core.time.clock.after(ms, done);
    binding.whenIdle = done;
  });
}
