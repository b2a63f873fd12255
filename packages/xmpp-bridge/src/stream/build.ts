/// <reference path="./untyped-modules.d.ts" />
import { xml } from "@xmpp/client";
import type { Element } from "./element.ts";

/** Attributes of an element to be made; undefined ones are left out. */
export type Attributes = Readonly<Record<string, string | undefined>>;

/** Makes an element. Text is escaped when it is written; what XML cannot hold must not be in it. */
export function element(
  name: string,
  attributes: Attributes = {},
  children: readonly (Element | string)[] = [],
): Element {
  // ltx makes exactly such an element; its function has no types.
  return xml(name, attributes, ...children) as Element;
}
