import { type CoapOption, OptionNumber } from "./coap-message.ts";
import { readText } from "./option-value.ts";

/** The parameters of a query, or why it has none: bytes that are no UTF-8 (4.02), or a name given twice (4.00). */
export type Query =
  | { readonly is: "read"; readonly parameters: ReadonlyMap<string, string> }
  | { readonly is: "refused"; readonly fault: "not-utf8" }
  | { readonly is: "refused"; readonly fault: "repeated"; readonly name: string };

const EMPTY: Query = { is: "read", parameters: new Map() };
const NOT_UTF8: Query = { is: "refused", fault: "not-utf8" };

/** Reads the Uri-Query options: `name=value` each, a lone `name` is one with an empty value. */
export function readQuery(options: readonly CoapOption[]): Query {
  let parameters: Map<string, string> | undefined;
  for (const { number, value } of options) {
    if (number > OptionNumber.uriQuery) break;
    if (number !== OptionNumber.uriQuery) continue;
    parameters ??= new Map();
    const text = readText(value);
    if (text === undefined) return NOT_UTF8;
    const at = text.indexOf("=");
    const name = at === -1 ? text : text.slice(0, at);
    if (parameters.has(name)) return { is: "refused", fault: "repeated", name };
    parameters.set(name, at === -1 ? "" : text.slice(at + 1));
  }
  return parameters === undefined ? EMPTY : { is: "read", parameters };
}
