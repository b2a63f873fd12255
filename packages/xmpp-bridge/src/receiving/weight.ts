import type { Element } from "../stream/element.ts";
import type { NodeEvent } from "./notification.ts";

/** What an element costs besides its letters, about. */
const ELEMENT = 200;

/** About how many bytes of memory an event holds while it waits: an item is kept as the tree that it was read into. */
export function weightOf(event: NodeEvent): number {
  let weight = ELEMENT + event.node.length;
  if (event.is === "retract") weight += event.id.length;
  if (event.is !== "item" || event.item.payload === undefined) return weight;
  const left: Element[] = [event.item.payload];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    weight += ELEMENT;
    for (const name in next.attrs) weight += name.length + (next.attrs[name]?.length ?? 0);
    for (const child of next.children) {
      if (typeof child === "string") weight += child.length;
      else left.push(child);
    }
  }
  return weight;
}
