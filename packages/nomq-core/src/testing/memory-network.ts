import { isGroupHost, plainHost } from "../address.ts";
import type { CancelTimer, Clock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { LARGEST_DATAGRAM } from "../packet/layout.ts";
import type { Endpoint, Transport } from "../transport.ts";
import { createPrng, type Prng } from "./prng.ts";

/** What the network does to datagrams. Probabilities run from 0 (the default) to 1. */
export interface MemoryNetworkConditions {
  /** Probability that a datagram is lost. */
  readonly loss?: number;
  /** Probability that a second copy arrives, with a delay of its own. */
  readonly duplicate?: number;
  /** Probability that a datagram is held back by `holdMs`, so that later ones overtake it. */
  readonly reorder?: number;
  /** Default 50 ms. */
  readonly holdMs?: number;
  /**
   * Milliseconds from sending to arrival, or the bounds between which it is drawn. Default 0: on the next turn,
   * without moving the clock. Delay alone never reorders datagrams between two endpoints.
   */
  readonly delayMs?: number | readonly [least: number, most: number];
  /** IP packets longer than this are lost, as where fragments are not reassembled. Default: none are. */
  readonly mtu?: number;
  /** Asked first: true loses the datagram. */
  readonly drop?: (datagram: Uint8Array, from: Endpoint, to: Endpoint) => boolean;
}

/** What became of the datagrams so far. */
export interface MemoryNetworkCounts {
  readonly sent: number;
  readonly delivered: number;
  /** Lost on purpose. */
  readonly lost: number;
  /** Longer than the MTU. */
  readonly oversized: number;
  /** Sent to where nobody listens. */
  readonly unheard: number;
  readonly duplicated: number;
  readonly heldBack: number;
}

/** Where an endpoint is. */
export interface MemoryEndpointOptions extends Partial<Endpoint> {
  /** Multicast groups it has joined. */
  readonly multicast?: readonly string[];
}

/** A network of its own: endpoints of one never reach those of another. */
export interface MemoryNetwork {
  /**
   * Opens an endpoint. Host defaults to the next free `10.0.0.n`, port 0 (the default) to a free one. Throws
   * `port-in-use`. As on Linux, what goes to everybody reaches the endpoints of that port, the sender's too:
   * `255.255.255.255` those with an IPv4 address, `10.0.0.255` those of 10.0.0.0/24, `127.255.255.255` those of
   * 127.0.0.0/8, `ff02::1` those with an IPv6 address, other groups those that have joined.
   */
  open(at?: MemoryEndpointOptions): Transport;
  /** Replaces the named conditions from now on; datagrams under way keep theirs. */
  change(conditions: MemoryNetworkConditions): void;
  counts(): MemoryNetworkCounts;
}

/** How to make a {@link MemoryNetwork}. */
export interface MemoryNetworkOptions extends MemoryNetworkConditions {
  readonly clock: Clock;
  /** Same seed, same calls: same fate of every datagram. Default 1. */
  readonly seed?: number;
}

interface Member {
  readonly local: Endpoint;
  readonly groups: ReadonlySet<string>;
  receive: ((datagram: Uint8Array, from: Endpoint) => void) | undefined;
  open: boolean;
  /** Timers of datagrams on their way here. */
  readonly due: Set<CancelTimer>;
  /** Per sender: no later datagram arrives before this monotonic time. */
  readonly latest: Map<string, number>;
}

interface State {
  readonly clock: Clock;
  readonly random: Prng;
  readonly members: Map<string, Member>;
  conditions: MemoryNetworkConditions;
  readonly counts: { -readonly [Name in keyof MemoryNetworkCounts]: MemoryNetworkCounts[Name] };
}

const FIRST_EPHEMERAL_PORT = 49_152;
const IP_AND_UDP_HEADERS = 28;
const BROADCAST = "255.255.255.255";
const ALL_NODES = "ff02::1";
const HOSTS_PER_SUBNET = 254;

/** Makes a network in memory; nothing is random but by its seed, nothing waits but on its clock. */
export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const { clock, seed, ...conditions } = options;
  const state: State = {
    clock,
    random: createPrng(seed ?? 1),
    members: new Map(),
    conditions,
    counts: { sent: 0, delivered: 0, lost: 0, oversized: 0, unheard: 0, duplicated: 0, heldBack: 0 },
  };
  let hosts = 0;
  return {
    open(at = {}) {
      const host =
        at.host ?? `10.0.${Math.floor(hosts / HOSTS_PER_SUBNET)}.${(hosts % HOSTS_PER_SUBNET) + 1}`;
      hosts += at.host === undefined ? 1 : 0;
      return join(state, { host, port: at.port || freePort(state, host) }, at.multicast);
    },
    change(changed) {
      state.conditions = { ...state.conditions, ...changed };
    },
    counts: () => ({ ...state.counts }),
  };
}

function keyOf({ host, port }: Endpoint): string {
  return `${host} ${port}`;
}

function freePort(state: State, host: string): number {
  let port = FIRST_EPHEMERAL_PORT;
  while (state.members.has(keyOf({ host, port }))) port += 1;
  return port;
}

function join(state: State, local: Endpoint, multicast: readonly string[] = []): Transport {
  const key = keyOf(local);
  if (state.members.has(key)) throw new NomqError("port-in-use", `${local.host}:${local.port} is taken`);
  const groups = new Set(multicast.map(withoutZone));
  const member: Member = { local, groups, receive: undefined, open: true, due: new Set(), latest: new Map() };
  state.members.set(key, member);
  return {
    local,
    async send(datagram, to) {
      if (!member.open) throw new NomqError("closed", "the transport is closed");
      if (datagram.length > LARGEST_DATAGRAM) {
        throw new NomqError(
          "datagram-too-large",
          `${datagram.length} bytes, UDP carries ${LARGEST_DATAGRAM}`,
        );
      }
      // Not slice(): on a Buffer that is a view of the caller's bytes.
      route(state, new Uint8Array(datagram), { from: local, to });
    },
    onDatagram(receive) {
      member.receive = receive;
    },
    async [Symbol.asyncDispose]() {
      if (!member.open) return;
      member.open = false;
      state.members.delete(key);
      for (const cancel of member.due) cancel();
      member.due.clear();
    },
  };
}

interface Path {
  readonly from: Endpoint;
  readonly to: Endpoint;
}

function route(state: State, datagram: Uint8Array, path: Path): void {
  const { counts, random } = state;
  const { mtu, loss = 0, duplicate = 0, drop } = state.conditions;
  counts.sent += 1;
  if (mtu !== undefined && datagram.length + IP_AND_UDP_HEADERS > mtu) {
    counts.oversized += 1;
    return;
  }
  for (const member of membersAt(state, path.to)) {
    if (drop?.(datagram, path.from, member.local) === true || random.chance(loss)) {
      counts.lost += 1;
      continue;
    }
    carry(state, datagram, { from: path.from, member });
    if (!random.chance(duplicate)) continue;
    counts.duplicated += 1;
    carry(state, new Uint8Array(datagram), { from: path.from, member });
  }
}

function membersAt(state: State, to: Endpoint): Member[] {
  const one = state.members.get(keyOf(to));
  if (one !== undefined) return [one];
  const reached = [...state.members.values()].filter(
    (member) => member.local.port === to.port && hears(member, to.host),
  );
  if (reached.length === 0) state.counts.unheard += 1;
  return reached;
}

/** Whether what goes to that address of many reaches the member. */
function hears({ local, groups }: Member, host: string): boolean {
  const isIpv6 = local.host.includes(":");
  if (host === BROADCAST) return !isIpv6;
  if (isGroupHost(host)) {
    const group = withoutZone(host);
    return groups.has(group) || (group === ALL_NODES && isIpv6);
  }
  const subnet = /^(127)\.255\.255\.255$|^(\d+\.\d+\.\d+)\.255$/.exec(host);
  const prefix = subnet?.[1] ?? subnet?.[2];
  return prefix !== undefined && local.host.startsWith(`${prefix}.`);
}

function withoutZone(host: string): string {
  return plainHost(host).split("%", 1)[0] ?? host;
}

function carry(state: State, datagram: Uint8Array, path: { from: Endpoint; member: Member }): void {
  const { clock, counts } = state;
  const { from, member } = path;
  const arrive = (): void => {
    if (!member.open) return;
    counts.delivered += 1;
    member.receive?.(datagram, from);
  };
  const wait = delayTo(state, from, member);
  if (wait <= 0) {
    queueMicrotask(arrive);
    return;
  }
  const cancel = clock.after(wait, () => {
    member.due.delete(cancel);
    arrive();
  });
  member.due.add(cancel);
}

/** Milliseconds until arrival. Keeps the order between two endpoints, except for what is held back. */
function delayTo(state: State, from: Endpoint, member: Member): number {
  const { delayMs = 0, reorder = 0, holdMs = 50 } = state.conditions;
  const [least, most] = typeof delayMs === "number" ? [delayMs, delayMs] : delayMs;
  const now = state.clock.monotonic();
  const drawn = now + least + state.random.next() * (most - least);
  if (state.random.chance(reorder)) {
    state.counts.heldBack += 1;
    return drawn + holdMs - now;
  }
  const key = keyOf(from);
  const at = Math.max(drawn, member.latest.get(key) ?? 0);
  member.latest.set(key, at);
  return at - now;
}
