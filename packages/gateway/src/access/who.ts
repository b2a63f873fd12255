import { BlockList, isIP } from "node:net";
import { NomqError, type Principal } from "@nomq/core";

/** Tells whether a rule speaks of a principal. */
export type WhoCheck = (principal: Principal) => boolean;

const KINDS: readonly string[] = ["user", "nomq", "cert", "coap", "jid", "token"];
const FORMS = "user:NAME, nomq:KEYID, cert:CN, coap:ID, jid:BARE, token:NAME, addr:CIDR, anonymous or *";

/**
 * The check of a rule's `who`. `*` is everyone; `anonymous` is whoever shows nothing, so `addr:IP` too; `addr:CIDR`
 * is whoever shows nothing and comes from that network. Throws `config-invalid`, naming the path and the forms, for
 * anything else.
 */
export function whoCheck(who: string, path: string): WhoCheck {
  if (who === "*") return () => true;
  if (who === "anonymous") return (principal) => principal === "anonymous" || principal.startsWith("addr:");
  const colon = who.indexOf(":");
  const kind = who.slice(0, colon);
  const name = who.slice(colon + 1);
  if (kind === "addr") return networkCheck(name, path);
  if (colon === -1 || name === "" || !KINDS.includes(kind)) {
    throw new NomqError("config-invalid", `${path}: "${who}" names nobody; write ${FORMS}`);
  }
  return (principal) => principal === who;
}

function networkCheck(cidr: string, path: string): WhoCheck {
  const [network = "", bits, ...rest] = cidr.split("/");
  const family = isIP(network);
  const longest = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (family === 0 || rest.length > 0 || !(prefix <= longest)) {
    throw new NomqError(
      "config-invalid",
      `${path}: "addr:${cidr}" is no network; write addr:192.168.0.0/16 or addr:fd00::/8`,
    );
  }
  const networks = new BlockList();
  networks.addSubnet(network, prefix, family === 6 ? "ipv6" : "ipv4");
  return (principal) => {
    if (!principal.startsWith("addr:")) return false;
    const address = principal.slice("addr:".length);
    const from = isIP(address);
    return from !== 0 && networks.check(address, from === 6 ? "ipv6" : "ipv4");
  };
}
