import { NomqError, networkCheck, type Principal, parseNetwork } from "@nomq/core";

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
  if (kind === "addr") return fromNetwork(name, path);
  if (colon === -1 || name === "" || !KINDS.includes(kind)) {
    throw new NomqError("config-invalid", `${path}: "${who}" names nobody; write ${FORMS}`);
  }
  return (principal) => principal === who;
}

function fromNetwork(cidr: string, path: string): WhoCheck {
  const network = parseNetwork(cidr);
  if (network === undefined) {
    throw new NomqError(
      "config-invalid",
      `${path}: "addr:${cidr}" is no network; write addr:192.168.0.0/16 or addr:fd00::/8`,
    );
  }
  const isInside = networkCheck([network]);
  return (principal) => principal.startsWith("addr:") && isInside(principal.slice("addr:".length));
}
