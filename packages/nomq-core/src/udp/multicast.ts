import type { Socket } from "node:dgram";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { isGroupHost } from "../address.ts";
import { codeOf, NomqError } from "../errors.ts";

/** A multicast group to be a member of. */
export interface MulticastGroup {
  /** `ff02::114`, `239.1.2.3`; an IPv6 group may name its interface: `ff02::114%eth0`. */
  readonly group: string;
  /** Name of the interface, or for IPv4 its address. Default: every interface that has an address of that family. */
  readonly interface?: string;
}

/** Joins the groups on a bound socket. Throws `listen-failed` for one that can be joined nowhere. */
export function joinGroups(socket: Socket, groups: readonly MulticastGroup[], has: Families): void {
  for (const one of groups) {
    const [group = "", zone] = one.group.split("%", 2);
    const family = isIP(group);
    if (!isGroupHost(group) || group === "255.255.255.255") throw failed(one, "it is no multicast group");
    if (!(family === 6 ? has.ipv6 : has.ipv4)) throw failed(one, `the socket has no IPv${family}`);
    const on = one.interface ?? zone;
    const places = family === 6 ? placesOfIpv6(on) : placesOfIpv4(on);
    const codes = places.map((place) => join(socket, group, place));
    if (!codes.includes(undefined)) throw failed(one, codes[0] ?? "no such interface");
  }
}

/** What a socket can reach. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** Undefined when joined, also when it was joined before. */
function join(socket: Socket, group: string, place: string): string | undefined {
  try {
    socket.addMembership(group, place);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    return code === "EADDRINUSE" ? undefined : code;
  }
}

function placesOfIpv6(name: string | undefined): readonly string[] {
  if (name !== undefined) return [`::%${name}`];
  return Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ family }) => family === "IPv6"))
    .map(([each]) => `::%${each}`);
}

function placesOfIpv4(name: string | undefined): readonly string[] {
  if (name !== undefined && isIP(name) === 4) return [name];
  return Object.entries(networkInterfaces()).flatMap(([each, addresses = []]) => {
    // Several addresses of one interface are one place.
    const first = addresses.find(({ family }) => family === "IPv4");
    return first !== undefined && (name === undefined || name === each) ? [first.address] : [];
  });
}

function failed({ group, interface: on }: MulticastGroup, why: string): NomqError {
  const where = on === undefined ? "" : ` on ${on}`;
  return new NomqError("listen-failed", `the multicast group ${group} cannot be joined${where} (${why})`);
}
