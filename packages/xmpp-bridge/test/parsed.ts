/// <reference path="./xmpp-xml.d.ts" />
import { Parser } from "@xmpp/xml";
import type { Element } from "../src/stream/element.ts";

/** Reads one element as the stream does: as a child of a stream that is open. */
export function parsed(xml: string): Element {
  const parser = new Parser();
  const found: Element[] = [];
  parser.on("element", (element) => found.push(element));
  parser.on("error", (error) => {
    throw error;
  });
  parser.write(`<stream>${xml}`);
  const [first] = found;
  if (first === undefined) throw new Error(`not read: ${xml.slice(0, 80)}`);
  return first;
}
