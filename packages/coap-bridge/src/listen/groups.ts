import type { Socket } from "node:dgram";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { codeOf, type Log } from "@nomq/core";
import type { BoundSocket } from "./bound-socket.ts";

/** A socket of its own for a group: what it receives was sent to the group. */
export interface GroupPlace {
  /** The group; one of a link with the zone of its interface. */
  readonly bindTo: string;
  readonly group: string;
  /** Interfaces as memberships name them. */
  readonly interfaces: readonly string[];
}

/** Nobody sends from these: who takes a group from them alone takes nothing. */
const NOBODY = { ipv4: "240.0.0.1", ipv6: "100::1" } as const;
/** Of one link (RFC 4291 section 2.7): the same address is another group on each. */
const OF_A_LINK = /^ff[0-9a-f]2:/i;

/** Where groups can be heard by a socket of this family, one place per link for groups of a link. */
export function groupPlaces(groups: readonly string[], family: BoundSocket["family"]): GroupPlace[] {
  return groups.flatMap((group) => {
    const version = isIP(group);
    if (version === 4)
      return family === "ipv6" ? [] : [{ bindTo: group, group, interfaces: interfacesOf(4) }];
    if (version !== 6 || family === "ipv4") return [];
    const interfaces = interfacesOf(6);
    if (!OF_A_LINK.test(group)) return [{ bindTo: group, group, interfaces }];
    return interfaces.map((each) => ({ bindTo: each.replace("::", group), group, interfaces: [each] }));
  });
}

/** Makes a socket a member, on every interface that takes it. Throws where none does. */
export function joinPlace(socket: Socket, { group, interfaces }: GroupPlace): void {
  let failure: unknown;
  let joined = 0;
  for (const each of interfaces) {
    try {
      socket.addMembership(group, each);
      joined += 1;
    } catch (error) {
      failure = error;
    }
  }
  if (joined === 0 && failure !== undefined) throw failure;
}

/**
 * Keeps datagrams to groups away from the socket for everything else: Linux hands them to every socket of the port
 * that listens to all addresses. Wanting them from a source that does not exist alone is the way to have none.
 */
export function refuseGroups({ socket, family }: BoundSocket, groups: readonly string[], log: Log): void {
  for (const group of groups) {
    const version = isIP(group);
    if ((version === 4 && family === "ipv6") || (version === 6 && family === "ipv4")) continue;
    const nobody = version === 4 ? NOBODY.ipv4 : NOBODY.ipv6;
    for (const each of interfacesOf(version)) {
      try {
        socket.addSourceSpecificMembership(nobody, group, each);
      } catch (error) {
        log.debug("datagrams to a group may be taken for others", { group, code: codeOf(error) });
      }
    }
  }
}

/** Several addresses of one interface are one place. */
function interfacesOf(version: number): string[] {
  const wanted = version === 4 ? "IPv4" : "IPv6";
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) => {
    const first = addresses.find(({ family }) => family === wanted);
    if (first === undefined) return [];
    return [version === 4 ? first.address : `::%${name}`];
  });
}
