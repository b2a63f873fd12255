import { bareJid, NomqError, networkCheck, type Principal, parseNetwork } from "@nomq/core";

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
  const fault = whoFault(who);
  if (fault !== undefined) throw new NomqError("config-invalid", `${path}: ${fault}`);
  if (who === "*") return () => true;
  if (who === "anonymous") return (principal) => principal === "anonymous" || principal.startsWith("addr:");
  const name = principalNamed(who);
  if (who.startsWith(ADDR)) return fromNetwork(who.slice(ADDR.length));
  return (principal) => principal === name;
}

/** The principal that somebody names who may write it otherwise: accounts of XMPP have many ways to be written. */
export function principalNamed(who: string): string {
  return who.startsWith(JID) ? `${JID}${bareJid(who.slice(JID.length)) ?? ""}` : who;
}

/** What is wrong with a rule's `who`; undefined: nothing. */
export function whoFault(who: string): string | undefined {
  if (who === "*" || who === "anonymous") return undefined;
  const colon = who.indexOf(":");
  const kind = who.slice(0, colon);
  const name = who.slice(colon + 1);
  if (kind === "addr" && parseNetwork(name) === undefined) {
    return `"${who}" is no network; write addr:192.168.0.0/16 or addr:fd00::/8`;
  }
  if (kind === "jid" && name.includes("/"))
    return `"${who}" names a resource, and rules are about accounts; write jid:NAME@DOMAIN`;
  if (kind === "jid" && bareJid(name) === undefined)
    return `"${who}" names no account; write jid:NAME@DOMAIN`;
  const isKnown = kind === "addr" || (colon !== -1 && name !== "" && KINDS.includes(kind));
  return isKnown ? undefined : `"${who}" names nobody; write ${FORMS}`;
}

const ADDR = "addr:";
const JID = "jid:";

function fromNetwork(cidr: string): WhoCheck {
  const network = parseNetwork(cidr);
  const isInside = networkCheck(network === undefined ? [] : [network]);
  return (principal) => principal.startsWith(ADDR) && isInside(principal.slice(ADDR.length));
}
