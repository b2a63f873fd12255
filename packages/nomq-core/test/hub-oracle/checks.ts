import type { FinalOutcome, Receipt } from "@nomq/core";
import { numberIn } from "./calls.ts";
import { isReleased } from "./publish-steps.ts";
import { leavesNothing, type Publish } from "./records.ts";
import { endedOf, type World, type WorldPeer } from "./world.ts";

const nameOf = (publish: Publish): string =>
  `publish ${publish.number} ("${publish.payload}" on ${publish.channel}, QoS ${publish.qos}` +
  `${publish.retain ? ", retain" : ""}${publish.ttlMs === undefined ? "" : `, ttl ${publish.ttlMs}`})`;

/** Ledger rows balance, and pending covers the open calls. */
export function checkRows(world: World): void {
  for (const { name, ledger } of world.run.hub.attachments()) {
    if (ledger.accepted !== endedOf(ledger) + ledger.pending) {
      world.problems.push(`row of ${name} does not balance: ${JSON.stringify(ledger)}`);
    }
    const open = world.peers.find((peer) => peer.options.name === name)?.open.size ?? 0;
    if (ledger.pending < open) {
      world.problems.push(`row of ${name} has ${ledger.pending} pending, ${open} calls are open`);
    }
  }
}

/** Who got what, of the publishes that have a receipt and whose place in the order is known. */
export function checkPublishes(world: World): void {
  for (const publish of world.publishes) {
    const { receipt, must, may } = publish;
    if (publish.compared || receipt === undefined || must === undefined || may === undefined) continue;
    // Accepted, and the store may still refuse it.
    const isOpen = receipt.at === "accepted" && !leavesNothing(publish);
    if (isOpen && publish.run === world.run.number) continue;
    publish.compared = true;
    if (isOpen) continue;
    const first = world.byId.get(receipt.id);
    if (receipt.at === "refused") checkRefused(world, publish, receipt);
    else if (receipt.reason === "echo") checkEcho(world, publish, receipt);
    else if (first === publish) {
      for (const earlier of publish.earlier) widen(publish, earlier);
      compare(world, publish, receipt);
    }
  }
}

/** It may have been routed at the place of an earlier call of the same transfer. */
function widen(publish: Publish, earlier: Publish): void {
  const may = new Set([...(publish.may ?? []), ...(publish.must?.keys() ?? [])]);
  for (const name of [...(earlier.must?.keys() ?? []), ...(earlier.may ?? [])]) may.add(name);
  // What the store gives back of an earlier process names those who have rows.
  const hasRows = publish.qos > 0 && publish.ttlMs !== 0;
  const both = [...(publish.must ?? [])].filter(
    ([name, own]) => hasRows && own.durable && earlier.must?.has(name) === true,
  );
  publish.must = new Map(both);
  publish.may = may;
}

function compare(world: World, publish: Publish, receipt: Receipt): void {
  const got = receipt.outcomes.map((outcome) => outcome.attachment);
  for (const name of got) {
    if (publish.must?.has(name) === true || publish.may?.has(name) === true) continue;
    world.problems.push(`${nameOf(publish)} went to ${name}, which did not ask for it`);
  }
  for (const own of publish.must?.values() ?? []) {
    // What comes from the store may be all that a failing store gave: at rest it is asked again.
    if (got.includes(own.name) || own.leaving || own.ended || publish.earlier.length > 0) continue;
    world.problems.push(`${nameOf(publish)} was not routed to ${own.name}: [${got.join()}]`);
  }
  if (new Set(got).size !== got.length) world.problems.push(`${nameOf(publish)}: two outcomes for one name`);
}

/** Refused means that nobody was called. */
function checkRefused(world: World, publish: Publish, receipt: Receipt): void {
  if (receipt.outcomes.length > 0) world.problems.push(`${nameOf(publish)}: refused, with outcomes`);
  if (!/^(outbox-full: |store-)/.test(receipt.reason ?? "")) {
    world.problems.push(`${nameOf(publish)}: refused for ${receipt.reason}`);
  }
  const alone = world.publishes.every((other) => other === publish || other.payload !== publish.payload);
  if (publish.payload === "" || !alone) return;
  for (const peer of world.peers) {
    if (peer.sent.some((sent) => sent.payload === publish.payload)) {
      world.problems.push(
        `${nameOf(publish)}: refused (${receipt.reason}), and handed to ${peer.options.name}`,
      );
    }
  }
}

/** Only what was handed to that peer in the last ten seconds can be an echo. */
function checkEcho(world: World, publish: Publish, receipt: Receipt): void {
  if (receipt.outcomes.length > 0) world.problems.push(`${nameOf(publish)}: an echo with outcomes`);
  const peer = world.peers.find((one) => one.options.name === publish.from);
  const tickets = peer?.sent.filter(
    (sent) =>
      sent.channel === publish.channel &&
      sent.payload === publish.payload &&
      sent.at <= publish.at &&
      publish.at - sent.at <= 10_000,
  );
  if (tickets === undefined || tickets.length === 0 || peer?.options.echoes === false) {
    world.problems.push(`${nameOf(publish)} was taken for an echo at ${publish.from}`);
  }
}

/** Counts what is pending again, from the receipts; only with a store that answers. */
export async function recount(world: World): Promise<void> {
  const pending = new Map<string, number>();
  let unknown = 0;
  const older = new Map<string, number>();
  for (const publish of new Set(world.publishes)) {
    const { receipt } = publish;
    if (receipt === undefined) unknown += 1;
    if (receipt === undefined || receipt.at === "refused" || world.byId.get(receipt.id) !== publish) continue;
    if (!(await refresh(world, publish, receipt))) continue;
    if (publish.receipt?.at === "accepted" && !leavesNothing(publish)) {
      // Its commit may still be open: it is in no outbox before.
      unknown += 1;
      continue;
    }
    for (const outcome of publish.receipt?.outcomes ?? []) {
      const durable = world.peers.find((peer) => peer.options.name === outcome.attachment)?.options.durable;
      if (outcome.is !== "pending" || (durable !== true && publish.run !== world.run.number)) continue;
      // The receipts of an earlier process are the store's, which hears of an outcome a little later.
      const isOwn = publish.run === world.run.number && publish.earlier.length === 0;
      const counts = isOwn ? pending : older;
      counts.set(outcome.attachment, (counts.get(outcome.attachment) ?? 0) + 1);
    }
  }
  for (const { name, ledger } of world.run.hub.attachments()) {
    const counted = pending.get(name) ?? 0;
    const peer = world.peers.find((one) => one.options.name === name);
    // State sent again has no receipt, and waits on though its connection ended; neither has what nobody has acknowledged.
    const corrections = peer?.corrected.size ?? 0;
    const most = corrections + (peer?.options.window ?? 0) + unknown + (older.get(name) ?? 0);
    if (ledger.pending < counted || ledger.pending > counted + most) {
      world.problems.push(`row of ${name} has ${ledger.pending} pending, its receipts say ${counted}`);
    }
  }
}

/** False when nobody remembers the message: one that left nothing, of an earlier process. */
async function refresh(world: World, publish: Publish, receipt: Receipt): Promise<boolean> {
  const isFinal = receipt.outcomes.every((outcome) => outcome.is !== "pending");
  if (isFinal && !publish.isStale && (receipt.at !== "accepted" || publish.run !== world.run.number))
    return true;
  publish.isStale = false;
  const found = await world.run.port.receipt(receipt.id);
  if (found === undefined) {
    const leftNothing = publish.qos === 0 || publish.ttlMs === 0 || receipt.at === "accepted";
    const mayBeGone = publish.run !== world.run.number && (leftNothing || isFinal);
    if (!mayBeGone) world.problems.push(`${nameOf(publish)}: its receipt is gone`);
    return false;
  }
  publish.receipt = publish.run === world.run.number ? found : merged(receipt, found);
  for (const outcome of found.outcomes) {
    if (outcome.is !== "pending") noteFinal(world, publish, outcome.attachment, outcome.is);
  }
  return true;
}

/** Of an earlier process the store knows only what it keeps: who is durable. */
function merged(known: Receipt, found: Receipt): Receipt {
  const later = new Map(found.outcomes.map((outcome) => [outcome.attachment, outcome]));
  return { ...found, outcomes: known.outcomes.map((one) => later.get(one.attachment) ?? one) };
}

/** What is final stays as it is, and nothing expires early. */
function noteFinal(world: World, publish: Publish, name: string, is: FinalOutcome): void {
  const before = publish.finals.get(name);
  if (before === is) return;
  if (before !== undefined) {
    world.problems.push(`${nameOf(publish)}: outcome at ${name} was ${before}, is ${is}`);
  }
  publish.finals.set(name, is);
  const isRepeated = (one: Publish): boolean =>
    one !== publish && one.once !== undefined && one.once === publish.once;
  if (world.repeated.has(publish.payload) || (is === "expired" && world.publishes.some(isRepeated))) return;
  const left = (publish.ttlMs ?? Infinity) - (world.clock.monotonic() - publish.at);
  const slack = world.smallSteps - publish.stepsBefore;
  if (is === "expired" && left > slack && !(world.bigSteps && publish.run !== world.run.number)) {
    world.problems.push(`${nameOf(publish)} expired at ${name} ${left} ms early`);
  }
}

/** The values a channel's retained state may have, given who was acknowledged; "" is none. */
function possibleValues(world: World, channel: string): Set<string> {
  const values = new Set([""]);
  for (const publish of world.publishes) {
    const { receipt } = publish;
    if (publish.channel !== channel || !publish.retain) continue;
    if (receipt?.at === "refused" || receipt?.reason === "echo") continue;
    const first = receipt === undefined ? undefined : world.byId.get(receipt.id);
    if (first !== undefined && first !== publish) {
      // Released before its first call was answered: this may be that message or one of its own.
      if (isReleased(first)) values.add(publish.payload);
      continue;
    }
    // Acknowledged at "accepted" is not yet in the store, and may be refused by it.
    if (receipt !== undefined && receipt.at !== "accepted") {
      const earlier = world.publishes.find((one) => one.payload === publish.payload && one.lost);
      // A transfer repeated after a crash may have been stored where its first, unanswered call stood.
      if (publish.once === undefined || earlier === undefined) values.clear();
    }
    values.add(publish.payload);
    if (publish.ttlMs !== undefined) values.add("");
  }
  return values;
}

/** The hub's retained state follows from the acknowledged changes; returns it. */
export async function checkRetained(world: World, when: string): Promise<Map<string, string>> {
  const state = new Map<string, string>();
  for await (const message of world.run.port.retained(["#"], "anonymous")) {
    state.set(message.channel, numberIn(message) < 0 ? "" : `${numberIn(message)}`);
  }
  for (const channel of new Set(world.publishes.map((publish) => publish.channel))) {
    const possible = possibleValues(world, channel);
    const value = state.get(channel) ?? "";
    if (!possible.has(value)) {
      world.problems.push(
        `${when}: retained on ${channel} is "${value}", possible: ${[...possible].map((one) => `"${one}"`).join()}`,
      );
    }
  }
  return state;
}

/** Asks again for the receipts that an earlier process or a failing store left incomplete. */
export async function completeReceipts(world: World): Promise<void> {
  for (const publish of world.publishes) {
    const { receipt } = publish;
    if (receipt === undefined || receipt.at === "refused" || publish.earlier.length === 0) continue;
    publish.receipt = (await world.run.port.receipt(receipt.id)) ?? receipt;
  }
}

/** Every acknowledged message came to its end, and `delivered` is the truth. */
export function checkArrivals(world: World): void {
  const arrived = new Map(world.peers.map((peer) => [peer.options.name, idsOf(peer)]));
  for (const publish of world.publishes) {
    const { receipt } = publish;
    if (receipt === undefined || receipt.at === "refused" || world.byId.get(receipt.id) !== publish) continue;
    for (const outcome of receipt.outcomes) {
      const there = arrived.get(outcome.attachment)?.get(receipt.id) ?? 0;
      const peer = world.peers.find((one) => one.options.name === outcome.attachment);
      const isTurnedAway = outcome.is === "dropped" && outcome.reason === "overflow" && publish.qos > 0;
      if (isTurnedAway && peer?.options.outbox?.whenFull === "refuse") {
        world.problems.push(`${nameOf(publish)}: taken and dropped at ${outcome.attachment}, which refuses`);
      }
      if (outcome.is === "delivered" && there === 0) {
        world.problems.push(`${nameOf(publish)}: delivered to ${outcome.attachment}, which never saw it`);
      }
    }
    // Now or never: no row, nothing to come again after a crash.
    if (publish.qos === 0 || publish.ttlMs === 0 || receipt.at === "accepted") continue;
    for (const own of publish.must?.values() ?? []) {
      if (!own.durable || own.ended) continue;
      checkEnd(world, publish, receipt, own.name, arrived.get(own.name)?.get(receipt.id) ?? 0);
    }
  }
  for (const peer of world.peers) {
    for (const [id, times] of idsOf(peer)) {
      const publish = world.byId.get(id);
      // A change of QoS 0 is state: it may come again after a crash.
      const mayRepeat = publish?.qos === 1 || (publish?.qos === 0 && publish.retain);
      if (times > 1 && publish !== undefined && !mayRepeat) {
        world.problems.push(`${nameOf(publish)} arrived ${times} times at ${peer.options.name}`);
      }
    }
  }
}

function checkEnd(world: World, publish: Publish, receipt: Receipt, name: string, there: number): void {
  if (there > 0) return;
  const outcome = receipt.outcomes.find((one) => one.attachment === name);
  const allowed =
    outcome?.is === "expired" ||
    outcome?.is === "refused" ||
    (outcome?.is === "dropped" && ["overflow", "forgotten"].includes(outcome.reason ?? "")) ||
    (outcome?.is === "uncertain" && publish.qos === 2);
  if (!allowed) {
    const was = outcome === undefined ? "no outcome" : `${outcome.is} ${outcome.reason ?? ""}`;
    world.problems.push(`${nameOf(publish)}: acknowledged, and lost at ${name}: ${was}`);
  }
}

function idsOf(peer: WorldPeer): Map<string, number> {
  const ids = new Map<string, number>();
  for (const { message, cause } of peer.toy.arrivals) {
    if (cause === "live") ids.set(message.id, (ids.get(message.id) ?? 0) + 1);
  }
  return ids;
}
