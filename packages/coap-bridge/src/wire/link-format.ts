/** One attribute of a link: a name with a value, or a name alone (`obs`). */
export type LinkAttribute = readonly [name: string, value?: string];

/** One link of a link-format document (RFC 6690 section 2). */
export interface Link {
  /** URI reference, percent-encoded: `/site/a%20b`. */
  readonly href: string;
  /** The same without percent-encoding, where it differs: a filter may say either. */
  readonly plain?: string;
  readonly attributes: readonly LinkAttribute[];
}

/** Written without quotes: numbers (RFC 6690 section 3.3, RFC 7252 section 7.2.1); several of them need quotes. */
const NUMBER = /^(?:0|[1-9][0-9]*)$/;
const UNQUOTED: ReadonlySet<string> = new Set(["ct", "sz"]);

/** The link as link-format writes it: `</site/temp>;rt="nomq.channel";ct=50;obs`. */
export function linkText({ href, attributes }: Link): string {
  let text = `<${href}>`;
  for (const [name, value] of attributes) {
    if (value === undefined) text += `;${name}`;
    else if (UNQUOTED.has(name) && NUMBER.test(value)) text += `;${name}=${value}`;
    else text += `;${name}="${value.replace(/["\\]/g, "\\$&")}"`;
  }
  return text;
}

/** The value of an attribute, of one that repeats the first (RFC 6690 section 3); empty for a name alone. */
export function attributeOf({ attributes }: Link, name: string): string | undefined {
  const found = attributes.find(([each]) => each === name);
  return found && (found[1] ?? "");
}

/** More links than that are not read. */
const MAX_LINKS = 1_000;
const LINK = /\s*<([^>\s]*)>/y;
const ATTRIBUTE = /\s*;\s*([^\s=;,"<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/y;
const COMMA = /\s*,/y;

/**
 * Reads as many links as are well-formed, names of attributes in lower case: a device's list that ends in the middle is
 * still of use.
 */
export function parseLinks(text: string): readonly Link[] {
  const links: Link[] = [];
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
    const attributes: LinkAttribute[] = [];
    for (let one = take(ATTRIBUTE); one !== undefined; one = take(ATTRIBUTE)) {
      const [, name = "", quoted, plain] = one;
      const value = quoted?.replace(/\\(.)/gs, "$1") ?? plain;
      attributes.push(value === undefined ? [name.toLowerCase()] : [name.toLowerCase(), value]);
    }
    links.push({ href: link[1] ?? "", attributes });
    if (take(COMMA) === undefined) break;
  }
  return links;
}
