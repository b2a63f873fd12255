import type { AbortOptions, Attachment, LedgerRow, Peer } from "../../bridge.ts";
import { NomqError } from "../../errors.ts";
import { isValidFilter, MAX_FILTER_LENGTH, MAX_FILTER_LEVELS } from "../../message.ts";
import type { Core } from "../core.ts";
import { endWaits } from "../delivery.ts";
import type { Binding, Place } from "../place.ts";
import { detach, forget } from "./detach.ts";
import { AttachStep, ChangeStep } from "./steps.ts";

/** Port.attach: binds the peer to the place of its name. `owner` names the port. */
export async function attach(
  core: Core,
  peer: Peer,
  options: AbortOptions & { readonly owner: string },
): Promise<Attachment> {
  checkFilters(core, peer.filters ?? []);
  if (core.claimed.has(peer.name)) {
    throw new NomqError(
      "attachment-in-use",
      `"${peer.name}" is attached already; detach it first or use another name`,
    );
  }
  if (options.signal?.aborted === true)
    throw new NomqError("aborted", `attaching "${peer.name}" was aborted`);
  const claim = {};
  core.claimed.set(peer.name, claim);
  try {
    // A name kept for a durable peer and now claimed by one that is not: its stored interest goes.
    if (!peer.durable && core.places.get(peer.name)?.isDurable === true) await forget(core, peer.name);
    const place = await enqueue(core, peer, options);
    return attachmentOf(core, place, claim);
  } catch (error) {
    unclaim(core, peer.name, claim);
    throw error;
  }
}

/** Frees the name unless somebody else has it by now. */
function unclaim(core: Core, name: string, claim: object): void {
  if (core.claimed.get(name) === claim) core.claimed.delete(name);
}

function enqueue(
  core: Core,
  peer: Peer,
  { owner, signal }: AbortOptions & { readonly owner: string },
): Promise<Place> {
  return new Promise((resolve, reject) => {
    let isAborted = false;
    const wasKnown = core.places.has(peer.name);
    const step = new AttachStep(core, { peer, owner }, (result) => {
      signal?.removeEventListener("abort", abort);
      if (isAborted) {
        if ("place" in result) void takeBack(core, result.place, wasKnown);
      } else if ("place" in result) resolve(result.place);
      else reject(result.error);
    });
    const abort = (): void => {
      isAborted = true;
      step.isCancelled = true;
      reject(new NomqError("aborted", `attaching "${peer.name}" was aborted`));
    };
    signal?.addEventListener("abort", abort, { once: true });
    core.writer.enqueue(step);
  });
}

/** A failed attach leaves nothing. */
async function takeBack(core: Core, place: Place, wasKnown: boolean): Promise<void> {
  await detach(core, place, place.binding);
  if (!wasKnown) await forget(core, place.name);
}

function attachmentOf(core: Core, place: Place, claim: object): Attachment {
  const { binding } = place;
  let ended: Promise<void> | undefined;
  const isBound = (): boolean => binding !== undefined && place.binding === binding && !binding.isEnding;
  return {
    name: place.name,
    change: async (change) => {
      if (!isBound()) throw new NomqError("closed", `"${place.name}" is detached`);
      checkFilters(core, change.add ?? [], place.filters.size);
      await new Promise<void>((resolve, reject) => {
        const done = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
        core.writer.enqueue(new ChangeStep(core, place, { change, done }));
      });
    },
    pause: (reason) => {
      if (binding === undefined) return;
      binding.pauses += 1;
      binding.paused = reason;
    },
    resume: () => resume(core, place, binding),
    repair: (filters) => {
      checkFilters(core, filters ?? []);
      if (isBound()) core.engine.scan(place, filters ?? [...place.filters], "repair");
    },
    ledger: (): LedgerRow => place.ledger(),
    [Symbol.asyncDispose]: () => {
      ended ??= detach(core, place, binding).finally(() => unclaim(core, place.name, claim));
      return ended;
    },
  };
}

function resume(core: Core, place: Place, binding: Binding | undefined): void {
  if (binding === undefined) return;
  const goOn = (): void => {
    binding.paused = undefined;
    endWaits(place);
    core.engine.pump(place);
  };
  if (!binding.isOrdered) {
    goOn();
    return;
  }
  // The answers given since the pause are heard first: nothing opens beside a message to be repeated.
  const { paused } = binding;
  binding.pauses += 1;
  const { pauses } = binding;
  setImmediate(() => {
    if (binding.paused === paused && binding.pauses === pauses) goOn();
  });
}

export function checkFilters(core: Core, filters: readonly string[], present = 0): void {
  const wrong = filters.find((filter) => !isValidFilter(filter));
  if (wrong !== undefined) {
    throw new NomqError(
      "filter-invalid",
      `${JSON.stringify(wrong.slice(0, 200))}; "+" and "#" stand for whole levels, "#" last; at most ${MAX_FILTER_LENGTH} characters and ${MAX_FILTER_LEVELS} levels`,
    );
  }
  if (filters.length + present > core.limits.filters) {
    throw new NomqError("filter-invalid", `more than ${core.limits.filters} filters at one attachment`);
  }
}
