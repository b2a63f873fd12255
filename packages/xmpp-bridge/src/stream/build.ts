/// <reference path="./untyped-modules.d.ts" />
import { xml } from "@xmpp/client";
import type { Element } from "./element.ts";

/** Attributes of an element to be made; undefined ones are left out. */
export type Attributes = Readonly<Record<string, string | undefined>>;

/**
 * Makes an element. Text is escaped when it is written; what XML cannot hold must not be in it. As ltx's own function
 * would, without the lists of all attributes that it makes on the way.
 */
export function element(
  name: string,
  attributes: Attributes = {},
  children: readonly (Element | string)[] = [],
): Element {
  const made = new xml.Element(name);
  for (const each in attributes) {
    const value = attributes[each];
    if (value !== undefined) made.attrs[each] = value;
  }
  for (const child of children) if (child !== "") made.cnode(child);
  return made;
}
