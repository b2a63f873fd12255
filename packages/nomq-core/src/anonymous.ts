import { plainAddress } from "./address.ts";
import { NomqError } from "./errors.ts";
import { LOOPBACK, type Network, networkCheck, parseNetwork } from "./network.ts";

/**
 * Who may come to a listener without credentials: programs on this machine (`loopback`, the default of every listener),
 * nobody (`none`), or addresses in the listed networks (`"192.168.0.0/16"`).
 */
export type AnonymousRule = "loopback" | "none" | readonly string[];

/** Tells whether a client without credentials may come from an address. */
export type AddressCheck = (address: string) => boolean;

/**
 * Makes the check of a listener's `anonymous`; `path` is the listener's key, `mqtt.listen[0]`. Throws
 * {@link NomqError} `config-invalid` for what is no network.
 */
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

/** The entry under a section's `listen:` that would admit this address, and no other, to the listener at `url`. */
export function admittingEntry(url: string, address: string): string {
  const plain = plainAddress(address);
  return `- { url: "${url}", anonymous: ["${plain}/${plain.includes(":") ? 128 : 32}"] }`;
}
