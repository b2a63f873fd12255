import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import type { Link } from "../wire/link-format.ts";
import { readText } from "../wire/option-value.ts";

/** One condition of a query: `rt=temperature*` (RFC 6690 section 4.1). */
export interface LinkFilter {
  readonly name: string;
  readonly value: string;
  /** The value ends with `*`: its beginning is enough. */
  readonly open: boolean;
}

/** Values of these are several words, each of which may match (RFC 6690 sections 2.2, 3.1, 3.2; RFC 7252 section 7.2.1). */
const OF_WORDS: ReadonlySet<string> = new Set(["rt", "if", "ct", "rel", "rev"]);
/** The conditions of a request's Uri-Query options, all of which a link must meet. Undefined: one that is none (4.00). */
export function linkFilters(options: readonly CoapOption[]): readonly LinkFilter[] | undefined {
  const filters: LinkFilter[] = [];
  for (const { number, value } of options) {
    if (number !== OptionNumber.uriQuery) continue;
    const query = readText(value);
    const filter = query === undefined ? undefined : filterOf(query);
    if (filter === undefined) return undefined;
    filters.push(filter);
  }
  return filters;
}

function filterOf(query: string): LinkFilter | undefined {
  const at = query.indexOf("=");
  if (at < 1) return undefined;
  const pattern = query.slice(at + 1);
  const open = pattern.endsWith("*");
  return { name: query.slice(0, at), value: open ? pattern.slice(0, -1) : pattern, open };
}

const matches = ({ value, open }: LinkFilter, text: string): boolean =>
  open ? text.startsWith(value) : text === value;

/** Whether a link meets one condition. An attribute it has not meets none, one without a value only `name=*` and `name=`. */
export function linkMatches(link: Link, filter: LinkFilter): boolean {
  if (filter.name === "href")
    return matches(filter, link.href) || (link.plain !== undefined && matches(filter, link.plain));
  for (const [name, value = ""] of link.attributes) {
    if (name !== filter.name) continue;
    if (matches(filter, value)) return true;
    if (OF_WORDS.has(name) && value.split(" ").some((word) => matches(filter, word))) return true;
  }
  return false;
}
