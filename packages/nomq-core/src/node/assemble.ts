import type { StateChange } from "../bridge.ts";
import { systemClock } from "../clock.ts";
import { silentLog } from "../log.ts";
import { createKeyRing, type KeyRing } from "../packet/key-ring.ts";
import { pooledRandom } from "../packet/random.ts";
import { CLOCK_TOLERANCE } from "../session/clock-offset.ts";
import { createReplayWindows, type ReplayWindows } from "../session/replay-windows.ts";
import type { Transport } from "../transport.ts";
import { type ChannelNames, createChannelNames } from "./channel-names.ts";
import type { IncomingMessage, NodeLimits, NomqNodeOptions, NomqReceiver, Verdict } from "./contract.ts";
import { createJournal, type Journal } from "./journal.ts";
import { createOwnSessions, type OwnSessions } from "./own-sessions.ts";
import type { PeerEntry } from "./peers/peer-entry.ts";
import { createPeerTable, type PeerTable } from "./peers/peer-table.ts";
import { createPresence, type Presence } from "./peers/presence.ts";
import { createSubscriptions, type Subscriptions } from "./peers/subscriptions.ts";
import { type Arrivals, createArrivals } from "./receiving/arrivals.ts";
import { type Contact, createContact } from "./receiving/contact.ts";
import { createIncoming, type Incoming } from "./receiving/incoming.ts";
import { createIngress, type Ingress } from "./receiving/ingress.ts";
import { createRejections, type Rejections } from "./receiving/rejections.ts";
import { type Broadcasts, createBroadcasts } from "./sending/broadcast.ts";
import { createOutgoing, type Outgoing } from "./sending/outgoing.ts";
import { createProbing, PROBE_GRACE_MS, type Probing } from "./sending/probing.ts";
import { createPublishing, type Publishing } from "./sending/publishing.ts";
import { createSubscribing, type Subscribing } from "./sending/subscribing.ts";
import { createTurns, type Turns } from "./sending/turns.ts";
import { createWire, type Wire } from "./sending/wire.ts";
import { createNodeTime, type NodeTime } from "./time.ts";

/** The parts of one node. */
export interface Parts {
  readonly windows: ReplayWindows;
  readonly peers: PeerTable;
  readonly names: ChannelNames;
  readonly rejections: Rejections;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  readonly broadcasts: Broadcasts;
  readonly ingress: Ingress;
  readonly subscribing: Subscribing;
  readonly publishing: Publishing;
  readonly arrivals: Arrivals;
  readonly journal: Journal;
  readonly presence: Presence;
  readonly probing: Probing;
  readonly contact: Contact;
  readonly subscriptions: Subscriptions;
  readonly turns: Turns;
  readonly wire: Wire;
  readonly sessions: OwnSessions;
  readonly time: NodeTime;
  readonly limits: NodeLimits;
}

/** What the node has only once it runs. */
export interface Late {
  readonly transport: () => Transport | undefined;
  readonly receiver: () => NomqReceiver | undefined;
}

/** The original's, where it has one: 20 channels, 50 pending, 5 retained, 1,024 bytes. */
const LIMITS: NodeLimits = {
  peers: 10_000,
  sessions: 200_000,
  window: 131_072,
  transfers: 65_536,
  handing: 4096,
  unknown: 256,
  channels: 20,
  pending: 50,
  retained: 5,
  message: 1024,
};
/** Sessions, in a few milliseconds. */
const SWEPT_AT_ONCE = 1024;
/** Steps of the wall clock that, together, a restart may forget: a small part of the clock's tolerance. */
const UNSAVED_SECONDS = 5;
const DEFAULT_PACE = 5;
const DEFAULT_PROBE_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 300_000;
/** As the original. */
const DEFAULT_RENEWAL_MS = 300_000;

/** Puts the parts together; nothing runs yet. */
export function assemble(options: NomqNodeOptions, late: Late): Parts {
  const { clock = systemClock, log = silentLog, random = pooledRandom, pace = DEFAULT_PACE } = options;
  const held = assembleMemory(options, late);
  const { sessions, time, limits, journal } = held;
  const wire = createWire({ clock, time, sessions, log, random, pace, transport: late.transport });
  const turns = createTurns({ clock });
  const broadcasts = createBroadcasts({ ...held, clock, wire, pace });
  const arrivals = createArrivals();
  const hand = handTo(late, arrivals, journal);
  const incoming = createIncoming({ clock, wire, limit: limits.transfers, hand, journal: journal.add });
  const greet: Publishing["greet"] = (peer, channels) => publishing.greet(peer, channels);
  const hurry: Outgoing["hurry"] = (peer) => outgoing.hurry(peer);
  const watch = assembleWatch(options, late, { ...held, wire, turns, greet, hurry });
  const { probing } = watch;
  const silent: Probing["unanswered"] = (peer, how) => probing.unanswered(peer, how);
  const outgoing = createOutgoing({ clock, wire, sessions, time, turns, limits, silent });
  const shared = { ...held, ...watch, incoming, outgoing, wire };
  const publishing = createPublishing({ ...shared, clock });
  const ingress = createIngress({ ...shared, journal: journal.add });
  const subscribing = createSubscribing({ clock, wire });
  return { ...shared, arrivals, broadcasts, ingress, publishing, subscribing, turns };
}

/** To the receiver if it takes messages, else to those who iterate, who cannot keep a message's state themselves. */
function handTo(late: Late, arrivals: Arrivals, journal: Journal): Hand {
  const offer = async (message: IncomingMessage): Promise<Verdict> => {
    const verdict = await arrivals.hand(message);
    if (verdict.is === "accepted") journal.keep(message.state);
    return verdict;
  };
  return (message) => {
    const receiver = late.receiver();
    try {
      return receiver?.message === undefined ? offer(message) : receiver.message(message);
    } catch (error) {
      // It throws before it returns: what comes from the network must not end the process.
      return Promise.reject(error);
    }
  };
}

type Hand = (message: IncomingMessage) => Promise<Verdict>;

type Watch = Pick<Parts, "presence" | "probing" | "subscriptions" | "contact">;

/** Who is there, and what they asked for. */
function assembleWatch(
  options: NomqNodeOptions,
  { receiver }: Late,
  use: Memory & Pick<Parts, "wire" | "turns"> & Pick<Publishing, "greet"> & Pick<Outgoing, "hurry">,
): Watch {
  const { clock = systemClock, probe = DEFAULT_PROBE_MS, sessionTimeout = DEFAULT_TIMEOUT_MS } = options;
  const { greet, hurry, limits, names, presence, rejections } = use;
  const left = (peer: PeerEntry): void => presence.offline(peer, "left");
  const { monotonic } = use.time;
  const subscriptions = createSubscriptions({
    names,
    monotonic,
    known: use.peers.all(),
    receiver,
    left,
    greet,
    limit: limits.peers / 2,
  });
  const probing = createProbing({ ...use, clock, subscriptions, every: probe, timeout: sessionTimeout });
  const silence = probe > 0 ? probe + PROBE_GRACE_MS : sessionTimeout;
  const shared = { rejections, monotonic, presence, probing, greet, hurry, receiver };
  const contact = createContact({ ...shared, silence });
  return { presence, probing, subscriptions, contact };
}

type Memory = Pick<
  Parts,
  "windows" | "peers" | "names" | "rejections" | "sessions" | "journal" | "time" | "presence"
> & {
  readonly ring: KeyRing;
  readonly limits: NodeLimits;
};

/** The tables, and the time they are kept by. */
function assembleMemory(options: NomqNodeOptions, late: Late): Memory {
  const limits: NodeLimits = { ...LIMITS, ...options.limits };
  const { clock = systemClock, log = silentLog, random = pooledRandom } = options;
  const { sessionRenewal: renewal = DEFAULT_RENEWAL_MS } = options;
  const monotonic = (): number => clock.monotonic();
  const replaced = (peer: PeerEntry): void => presence.offline(peer, "replaced");
  const ring = createKeyRing(options.keys);
  const windows = createReplayWindows({ sessions: limits.sessions, packets: limits.window });
  const peers = createPeerTable({
    ring,
    known: options.peers ?? [],
    limit: limits.peers,
    monotonic,
    replaced,
  });
  const presence = createPresence({ clock, peers });
  const names = createChannelNames(limits.channels);
  const [first] = ring.keys;
  const firstKey = first === undefined ? {} : { firstKey: first.key.id };
  const rejections = createRejections({ clock, log, listed: limits.unknown, ...firstKey });
  let unsaved = 0;
  const time = createNodeTime(clock, (seconds) => {
    for (const each of [windows, peers, sessions]) each.rebase(seconds);
    // A clock that is set a little again and again would after a restart be as far off as all of it together.
    unsaved += Math.abs(seconds);
    if (unsaved <= UNSAVED_SECONDS) return;
    unsaved = 0;
    journal.keep(windows.heads());
    if (Math.abs(seconds) <= CLOCK_TOLERANCE) return;
    log.warn("the wall clock has stepped; learnt clocks are kept", { seconds });
    // Who was sent something and was never heard knows our session by the old clock.
    sessions.renew();
  });
  const sessions = createOwnSessions({ random, time, renewal, keep: (changes) => journal.keep(changes) });
  const sweep = (): readonly StateChange[] => [
    ...windows.sweep(time.seconds(), SWEPT_AT_ONCE),
    ...sessions.sweep(),
  ];
  const isSweeping = (): boolean => windows.isSweeping;
  const remember = (): NomqReceiver["remember"] => late.receiver()?.remember;
  const journal = createJournal({ clock, log, sweep, isSweeping, remember });
  return { ring, limits, windows, peers, names, rejections, sessions, journal, time, presence };
}
