/** Who asked whom, and who answers. */
export interface Answerer {
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Our full JID. */
  readonly jid: string;
  readonly domain: string;
}

/**
 * Whether an answer comes from whom was asked: anybody may send us an answer, and guess at ids. Without `to` our own
 * account was asked, for which the server answers in one of several names (RFC 6120 section 8.1.2.1).
 */
export function isFromOf({ from, to, jid, domain }: Answerer): boolean {
  if (from !== undefined && from === to) return true;
  const [bare = ""] = jid.split("/");
  const own = [bare, jid, domain].map(normal);
  if (from === undefined) return to === undefined || own.includes(normal(to));
  if (to === undefined) return own.includes(normal(from));
  return normal(from) === normal(to);
}

/** All before the resource is the same in any case (RFC 7622 section 3). */
function normal(jid: string): string {
  const slash = jid.indexOf("/");
  return slash < 0 ? jid.toLowerCase() : jid.slice(0, slash).toLowerCase() + jid.slice(slash);
}
