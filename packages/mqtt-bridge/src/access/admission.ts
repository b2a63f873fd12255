import { type Network, NomqError, networkCheck, parseNetwork } from "@nomq/core";
import type { AnonymousRule } from "../options.ts";

/** Tells whether a client without credentials may come from an address. */
export type AddressCheck = (address: string) => boolean;

const LOOPBACK = ["127.0.0.0/8", "::1/128"];

/** Makes the check of a listener's `anonymous`. Throws `config-invalid` for what is no network. */
export function anonymousCheck(rule: AnonymousRule, path: string): AddressCheck {
  if (rule === "none") return () => false;
  return networkCheck((rule === "loopback" ? LOOPBACK : rule).map((text) => networkAt(text, path)));
}

function networkAt(text: string, path: string): Network {
  const network = parseNetwork(text);
  if (network !== undefined) return network;
  const known = "loopback, none, or networks like 192.168.0.0/16";
  throw new NomqError("config-invalid", `${path}.anonymous: ${text} is no network; write ${known}`);
}
