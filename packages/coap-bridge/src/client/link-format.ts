/** One link of a CoRE Link Format document (RFC 6690). */
export interface WebLink {
  readonly href: string;
  /** By name in lower case; of a name that repeats, the first (RFC 6690 section 3); flags such as `obs` are empty. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** More links than that are not read. */
const MAX_LINKS = 1_000;
const LINK = /\s*<([^>\s]*)>/y;
const ATTRIBUTE = /\s*;\s*([^\s=;,"<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/y;
const COMMA = /\s*,/y;

/** Reads as many links as are well-formed: a device's list that ends in the middle is still of use. */
export function parseLinks(text: string): readonly WebLink[] {
  const links: WebLink[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text) ?? undefined;
    if (found !== undefined) at = pattern.lastIndex;
    return found;
  };
  while (links.length < MAX_LINKS) {
    const link = take(LINK);
    if (link === undefined) break;
    const attributes = new Map<string, string>();
    for (let one = take(ATTRIBUTE); one !== undefined; one = take(ATTRIBUTE)) {
      const [, name = "", quoted, plain = ""] = one;
      const value = quoted?.replace(/\\(.)/gs, "$1") ?? plain;
      if (!attributes.has(name.toLowerCase())) attributes.set(name.toLowerCase(), value);
    }
    links.push({ href: link[1] ?? "", attributes });
    if (take(COMMA) === undefined) break;
  }
  return links;
}
