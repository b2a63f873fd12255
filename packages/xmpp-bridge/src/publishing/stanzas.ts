import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";

/** The item that holds a channel's retained value. Events have the message's id. */
export const STATE_ITEM = "current";

/** Where an item lies. */
export interface ItemPlace {
  /** The pubsub service. */
  readonly pubsub: string;
  readonly node: string;
  readonly item: string;
}

/** Publishes one item (XEP-0060 section 7.1); the same id again replaces it. */
export function publishIq({ pubsub, node, item }: ItemPlace, payload: Element): Element {
  const publish = element("publish", { node }, [element("item", { id: item }, [payload])]);
  return element("iq", { type: "set", to: pubsub }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [publish]),
  ]);
}

/** Takes one item back (XEP-0060 section 7.2). `notify`: subscribers are told. */
export function retractIq({ pubsub, node, item }: ItemPlace, notify: boolean): Element {
  const said = notify ? "true" : "false";
  const retract = element("retract", { node, notify: said }, [element("item", { id: item })]);
  return element("iq", { type: "set", to: pubsub }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [retract]),
  ]);
}

/** Asks for one item (XEP-0060 section 6.5.8). */
export function itemIq({ pubsub, node, item }: ItemPlace): Element {
  const items = element("items", { node }, [element("item", { id: item })]);
  return element("iq", { type: "get", to: pubsub }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [items]),
  ]);
}

/** The payload of that item in the answer to {@link itemIq}; undefined: it is not there. */
export function payloadIn(answer: Element, item: string): Element | undefined {
  const items = answer.getChild("pubsub", Namespace.pubsub)?.getChild("items", Namespace.pubsub);
  const found = items?.getChildren("item").find(({ attrs }) => attrs["id"] === item);
  return found?.getChildElements()[0];
}
