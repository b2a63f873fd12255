import { BlockList, isIP } from "node:net";
import { NomqError } from "@nomq/core";
import type { AnonymousRule } from "./options.ts";

/** Tells whether a client without credentials may come from an address. */
export type AddressCheck = (address: string) => boolean;

const LOOPBACK = ["127.0.0.0/8", "::1/128"];

/** Makes the check of a listener's `anonymous`. Throws `config-invalid` for what is no network. */
export function anonymousCheck(rule: AnonymousRule, path: string): AddressCheck {
  if (rule === "none") return () => false;
  const networks = new BlockList();
  for (const text of rule === "loopback" ? LOOPBACK : rule) addNetwork(networks, text, path);
  return (address) => {
    const family = isIP(address);
    // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d; BlockList sees through that.
    return family !== 0 && networks.check(address, family === 6 ? "ipv6" : "ipv4");
  };
}

function addNetwork(networks: BlockList, text: string, path: string): void {
  const [network = "", bits] = text.split("/");
  const family = isIP(network);
  const longest = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (family === 0 || !(prefix <= longest)) {
    const known = "loopback, none, or networks like 192.168.0.0/16";
    throw new NomqError("config-invalid", `${path}.anonymous: ${text} is no network; write ${known}`);
  }
  networks.addSubnet(network, prefix, family === 6 ? "ipv6" : "ipv4");
}
