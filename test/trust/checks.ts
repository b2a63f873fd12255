import type { AttachmentState } from "@nomq/core";
import type { Book, Sent } from "./book.ts";
import { FILTERS, isFor, type Stage } from "./stage.ts";

/** The board promises nothing, and what is retained is sent again to who comes back. */
const isPromised = (sent: Sent | undefined, party: string): boolean =>
  sent !== undefined && sent.qos !== 1 && party !== "board" && isEvent(sent);
const isEvent = ({ channel }: Pick<Sent, "channel">): boolean => !/^[rb]\//.test(channel);
const some = (all: readonly string[]): string =>
  `${all.length}: ${all.slice(0, 12).join(", ")}${all.length > 12 ? ", …" : ""}`;

/** What is sent to them at QoS 2 may be uncertain after a crash. */
const isUncertain = (party: string): boolean => party === "board" || party === "actuator";

/** Acknowledged events that a party must get and has not; of QoS 2 to the board and the actuator some may be uncertain. */
export function missingAt(book: Book, party: string): readonly Sent[] {
  const copies = book.copies(party);
  return book.sent.filter(
    (one) =>
      one.is === "acked" &&
      isEvent(one) &&
      !(isUncertain(party) && one.qos === 2) &&
      one.party !== party &&
      isFor(party, one.channel) &&
      !copies.has(one.id),
  );
}

/** Everything that events show; each line is a fault. */
export function eventFaults(book: Book, parties: readonly string[]): string[] {
  return parties.flatMap((party) => {
    const faults: string[] = [];
    const lost = missingAt(book, party).map(({ id }) => id);
    if (lost.length > 0) faults.push(`${party} never got ${some(lost)}`);
    const twice = [...book.copies(party)]
      .filter(([id, copies]) => copies > 1 && isPromised(book.find(id), party))
      .map(([id, copies]) => `${id} ×${copies}`);
    if (twice.length > 0) faults.push(`${party} got QoS 0 or 2 more than once: ${some(twice)}`);
    const strange = [...book.copies(party).keys()].filter((id) => id !== "" && !isExpected(book, party, id));
    if (strange.length > 0) faults.push(`${party} got what is not for it: ${some(strange)}`);
    const swapped = outOfOrder(book, party);
    if (swapped.length > 0) faults.push(`${party} got out of order ${some(swapped)}`);
    return faults;
  });
}

function isExpected(book: Book, party: string, id: string): boolean {
  const sent = book.find(id);
  return sent !== undefined && sent.party !== party && isFor(party, sent.channel) && sent.is !== "refused";
}

/** First arrivals on one channel rise (design: order per channel; repeats after a crash begin with the oldest). */
function outOfOrder(book: Book, party: string): string[] {
  const highest = new Map<string, number>();
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const { id, channel } of book.got(party)) {
    if (id === "" || seen.has(id) || !isEvent({ channel })) continue;
    seen.add(id);
    const place = book.find(id)?.place ?? 0;
    const before = highest.get(channel) ?? 0;
    if (place < before) faults.push(`${id} after ${before}`);
    else highest.set(channel, place);
  }
  return faults;
}

/** What is kept on a channel at the end: its last publish, for one at a time is on its way. */
interface Kept {
  /** Empty: nothing is kept. */
  readonly id: string;
  readonly sentAt: number;
  /** How often the channel was cleared. */
  readonly clears: number;
}

function keptAtEnd(book: Book): ReadonlyMap<string, Kept> {
  const kept = new Map<string, Kept>();
  for (const { channel, retain, clears, id, is, sentAt } of book.sent) {
    if (!retain || is === "refused") continue;
    const before = kept.get(channel)?.clears ?? 0;
    kept.set(channel, { id: clears ? "" : id, sentAt, clears: before + (clears ? 1 : 0) });
  }
  return kept;
}

/**
 * Where a party's last value of a channel is not the one that is kept. What was sent after `calmSince` must have come
 * last of all. Before, of repeats nothing is learnt: after a crash, what had no stored outcome comes again first
 * (docs/hub.md), and then the last value may have been there already.
 */
export function staleAt(book: Book, party: string, calmSince: number): readonly string[] {
  const kept = keptAtEnd(book);
  const last = new Map<string, string>();
  const seen = new Map<string, number>();
  for (const { channel, id } of book.got(party)) {
    const end = kept.get(channel);
    if (end === undefined) continue;
    const name = `${channel} ${id}`;
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    // Clears look all alike, and none that comes last is wrong where nothing is kept; else one is a repeat when as many
    // have come as there are.
    const isRepeat = id === "" ? end.id !== "" && before >= end.clears : before > 0;
    if (!isRepeat || end.sentAt > calmSince) last.set(channel, id);
  }
  return [...kept]
    .filter(([channel, { id }]) => isFor(party, channel) && (last.get(channel) ?? "") !== id)
    .map(([channel, { id }]) => `${channel} is "${last.get(channel) ?? ""}", kept is "${id}"`);
}

/**
 * From when on nothing that a party got may come to it again. The keeper is told at every start what is kept (hub.md),
 * after all repeats, an observer knows what is newer by its number; those who roam are always sent again what was open when they left.
 */
export function calmSinceOf({ kills, xmppKills }: Pick<Stage, "kills" | "xmppKills">, party: string): number {
  if (party === "keeper" || party === "observer") return 0;
  if (party.startsWith("roam")) return Number.POSITIVE_INFINITY;
  // What a server had taken and not answered is sent to it again in the next session.
  return Math.max(kills.at(-1) ?? 0, party === "jabber" ? (xmppKills.at(-1) ?? 0) : 0);
}

/** Rows that do not balance: accepted = delivered + expired + dropped + refused + uncertain + pending. */
export function unbalanced(attachments: readonly AttachmentState[]): string[] {
  return attachments
    .filter(({ ledger }) => ledger.accepted !== settledOf(ledger) + ledger.pending)
    .map(({ name, ledger }) => `${name} does not balance: ${JSON.stringify(ledger)}`);
}

function settledOf(ledger: AttachmentState["ledger"]): number {
  const dropped = Object.values(ledger.dropped).reduce((sum, by) => sum + by, 0);
  return ledger.delivered + ledger.expired + dropped + ledger.refused + ledger.uncertain;
}

/** Where the gateway's own counts differ from those kept here. */
export function ledgerFaults(stage: Stage, attachments: readonly AttachmentState[]): string[] {
  const { book } = stage;
  const faults = unbalanced(attachments);
  const rowOf = (name: string): AttachmentState["ledger"] | undefined =>
    attachments.find((each) => each.name === name)?.ledger;
  for (const name of [
    "mqtt:broker",
    "coap:observers",
    "coap:send:act",
    ...(stage.xmpp === undefined ? [] : ["xmpp:pubsub.localhost"]),
    ...Object.keys(FILTERS)
      .filter((party) => /node|counter|keeper|board/.test(party))
      .map((party) => `nomq:${party}`),
  ]) {
    const row = rowOf(name);
    if (row === undefined) faults.push(`${name} has no row`);
    else if (row.pending > 0) faults.push(`${name} has ${row.pending} pending`);
    else if (
      row.expired + row.refused > 0 ||
      Object.keys(row.dropped).some((why) => !(why === "restart" && name !== "nomq:counter"))
    )
      faults.push(`${name} lost some: ${JSON.stringify(row)}`);
  }
  const counter = rowOf("nomq:counter");
  const here = book.copies("counter").size;
  if (counter?.accepted !== here || counter.delivered !== here) {
    faults.push(`nomq:counter: ${JSON.stringify(counter)}, counted here: ${here}`);
  }
  for (const [name, party] of [
    ["nomq:board", "board"],
    ["coap:send:act", "actuator"],
  ] as const) {
    const row = rowOf(name);
    const isMeant = (one: Sent): boolean => one.is === "acked" && isFor(party, one.channel);
    const lost = book.sent.filter((one) => isMeant(one) && !book.copies(party).has(one.id)).length;
    if (row === undefined || row.delivered > book.got(party).length || lost > row.uncertain) {
      const here = book.copies(party).size;
      faults.push(`${name}: ${JSON.stringify(row)}, counted here: ${here}, ${lost} lost`);
    }
  }
  return faults;
}

/** What of clients was not as it should be. */
export function clientFaults({ mqtt, coap }: Stage): string[] {
  const observed = coap.faults().map((fault) => `observer: ${fault}`);
  const clients = Object.values(mqtt).flatMap((party) => [
    ...party.faults.map((fault) => `${party.name}: ${fault}`),
    ...(party.sessionsLost > 0 ? [`${party.name}: ${party.sessionsLost} sessions lost`] : []),
  ]);
  return [...observed, ...clients];
}
