import { type Element, Namespace } from "../stream/element.ts";
import { LEFT_OUT } from "../stream/kept-text.ts";

/** Deeper is hostile: writing an element takes a stack frame for each level. */
const MOST_LEVELS = 256;

/**
 * An element written as a document of its own: the namespaces it has from elements around it are declared on it. The
 * same content, not the same bytes: those the server has read and written are gone. Undefined: deeper than 256 levels.
 */
export function standalone(payload: Element): string | undefined {
  const prefixes = prefixesIn(payload);
  if (prefixes === undefined) return undefined;
  const declared = new Set<string>();
  const missing = new Map<string, string>();
  const own = payload.attrs["xmlns"] ?? payload.findNS();
  if (own !== undefined && payload.attrs["xmlns"] === undefined) missing.set("xmlns", own);
  for (const name of Object.keys(payload.attrs)) if (name.startsWith("xmlns:")) declared.add(name.slice(6));
  for (const prefix of prefixes) {
    if (prefix === "xml" || declared.has(prefix)) continue;
    const namespace = payload.findNS(prefix);
    if (namespace !== undefined) missing.set(`xmlns:${prefix}`, namespace);
  }
  if (missing.size === 0) return payload.toString();
  const before = { ...payload.attrs };
  Object.assign(payload.attrs, Object.fromEntries(missing));
  try {
    return payload.toString();
  } finally {
    payload.attrs = before;
  }
}

/** Every prefix used by the element, its attributes and what is in it; undefined: too deep, or not all there. */
function prefixesIn(top: Element): ReadonlySet<string> | undefined {
  const prefixes = new Set<string>();
  const learn = (name: string): void => {
    const colon = name.indexOf(":");
    if (colon > 0 && !name.startsWith("xmlns:")) prefixes.add(name.slice(0, colon));
  };
  let level: readonly Element[] = [top];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === MOST_LEVELS) return undefined;
    for (const each of level) {
      if (each.name === LEFT_OUT && each.getNS() === Namespace.nomq) return undefined;
      learn(each.name);
      for (const name of Object.keys(each.attrs)) learn(name);
    }
    level = level.flatMap((each) => each.children.filter((child) => typeof child !== "string"));
  }
  return prefixes;
}
