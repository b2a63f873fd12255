import { lookup } from "node:dns/promises";
import { plainHost } from "@nomq/core";
import type { Remote } from "../messaging/messaging.ts";
import type { CoapTarget } from "./coap-url.ts";

/** IP addresses of a name; rejects where there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** The system's resolver, `/etc/hosts` included, in the order it prefers. */
export const systemResolve: Resolve = async (name) => {
  const found = await lookup(name, { all: true, order: "verbatim" });
  return found.map(({ address }) => address);
};

/** Where a resource is now. */
export interface Lookup {
  /**
   * Undefined where the name has no address or none that our socket reaches. A name is looked up each time; `tries`
   * that failed before move on through its addresses.
   */
  find(target: CoapTarget, tries?: number): Promise<Remote | undefined>;
}

/** Makes it from a resolver and the sockets' view of addresses. */
export function createLookup(
  resolve: Resolve,
  remoteAt: (at: { readonly host: string; readonly port: number }) => Remote | undefined,
): Lookup {
  const addressesOf = async ({ host, isName }: CoapTarget): Promise<readonly string[]> => {
    if (!isName) return [host];
    try {
      return await resolve(host);
    } catch {
      return [];
    }
  };
  return {
    async find(target, tries = 0) {
      const addresses = await addressesOf(target);
      const reached = addresses.flatMap((address) => {
        const remote = remoteAt({ host: plainHost(address), port: target.port });
        return remote === undefined ? [] : [remote];
      });
      return reached.length === 0 ? undefined : reached[tries % reached.length];
    },
  };
}
