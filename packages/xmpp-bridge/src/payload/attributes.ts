import { type Element, Namespace } from "../stream/element.ts";
import { ownText } from "../stream/own-text.ts";
import { isAttributeSafe } from "./xml-text.ts";

/** Behind a name: the value is base64url, for it holds what an attribute cannot. */
const ENCODED = "-64";
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Attributes to be written, by their names with our prefix `n`, and the declaration of that. */
export function ourAttributes(
  values: Readonly<Record<`n:${string}`, string | undefined>>,
): Record<string, string> {
  const attributes: Record<string, string> = { "xmlns:n": Namespace.nomq };
  let written: keyof typeof values;
  for (written in values) {
    const value = values[written];
    if (value === undefined) continue;
    if (isAttributeSafe(value)) attributes[written] = value;
    else attributes[written + ENCODED] = Buffer.from(value).toString("base64url");
  }
  return attributes;
}

/**
 * Reads our attributes of an element: by namespace, for servers give prefixes of their own, even one to each attribute.
 * An element of our namespace may also have them without a prefix.
 */
export function readOurAttributes(from: Element): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const isOurs = from.getNS() === Namespace.nomq;
  for (const [written, value] of Object.entries(from.attrs)) {
    const colon = written.indexOf(":");
    const prefix = written.slice(0, Math.max(colon, 0));
    if (prefix === "xmlns" || written === "xmlns") continue;
    if (colon < 0 ? !isOurs : from.findNS(prefix) !== Namespace.nomq) continue;
    const name = written.slice(colon + 1);
    if (!name.endsWith(ENCODED)) found.set(name, ownText(value));
    else {
      const text = decoded(value);
      if (text !== undefined) found.set(name.slice(0, -ENCODED.length), text);
    }
  }
  return found;
}

function decoded(value: string): string | undefined {
  if (!BASE64URL.test(value)) return undefined;
  try {
    return decoder.decode(Buffer.from(value, "base64url"));
  } catch {
    return undefined;
  }
}
