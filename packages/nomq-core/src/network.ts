import { BlockList, isIP } from "node:net";

/** An IP network. */
export interface Network {
  readonly address: string;
  /** Of its prefix; all of them for a single address. */
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Networks whose addresses no other machine can use. */
export const LOOPBACK: readonly string[] = ["127.0.0.0/8", "::1/128"];

/** Reads `ADDRESS/BITS`, or one address; undefined for everything else. */
export function parseNetwork(text: string): Network | undefined {
  const [address = "", bits, ...rest] = text.split("/");
  const version = isIP(address);
  const longest = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(prefix <= longest)) return undefined;
  return { address, bits: prefix, family: version === 6 ? "ipv6" : "ipv4" };
}

/**
 * Tells whether an address lies in one of the networks; what is no address lies in none. IPv4 may be written as a
 * dual-stack socket shows it, `::ffff:a.b.c.d`.
 */
export function networkCheck(networks: readonly Network[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, bits, family } of networks) list.addSubnet(address, bits, family);
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? "ipv6" : "ipv4");
  };
}
