import { element } from "../stream/build.ts";
import { type Element, Namespace } from "../stream/element.ts";

/** Paging of long answers (XEP-0059). */
const RSM = "http://jabber.org/protocol/rsm";

/** Requests to one pubsub service (XEP-0060), without the id, which is the link's. */
export interface PubsubRequests {
  create(node: string, form?: Element): Element;
  /** The configuration of a node of ours. */
  configuration(node: string): Element;
  configure(node: string, form: Element): Element;
  /** The form that new nodes begin with. */
  defaults(): Element;
  affiliations(node: string): Element;
  affiliate(node: string, affiliations: readonly Affiliation[]): Element;
  /** All subscriptions of our account. */
  subscriptions(): Element;
  subscribe(node: string, jid: string): Element;
  unsubscribe(node: string, subscription: { readonly jid: string; readonly subid?: string }): Element;
  /** Deletes a node of ours. */
  delete(node: string): Element;
  /** Publishes one item (section 7.1); the same id again replaces it. */
  publish(node: string, item: string, payload: Element): Element;
  /** Takes one item back (section 7.2); `notify`: subscribers are told. */
  retract(node: string, item: string, notify: boolean): Element;
  /** Items that the node keeps: some of them, or the youngest `most`. */
  items(node: string, which: { readonly ids: readonly string[] } | { readonly most: number }): Element;
  /** The ids of all items that it keeps. */
  itemIds(node: string): Element;
  /** What the service, or a node of it, says of itself (XEP-0030). */
  info(node?: string): Element;
  /** The nodes of the service, or a page of them. */
  list(page?: { readonly most: number; readonly after?: string }): Element;
}

/** What somebody may do at a node. */
export interface Affiliation {
  readonly jid: string;
  readonly affiliation: "member" | "none" | "outcast" | "owner" | "publisher";
}

/** Requests to the service at that address. */
export function requestsTo(service: string): PubsubRequests {
  const iq = (type: "get" | "set", child: Element): Element => element("iq", { type, to: service }, [child]);
  const pubsub = (type: "get" | "set", children: readonly Element[]): Element =>
    iq(type, element("pubsub", { xmlns: Namespace.pubsub }, children));
  const owner = (type: "get" | "set", child: Element): Element =>
    iq(type, element("pubsub", { xmlns: Namespace.pubsubOwner }, [child]));
  return {
    create: (node, form) =>
      pubsub("set", [
        element("create", { node }),
        ...(form === undefined ? [] : [element("configure", {}, [form])]),
      ]),
    configuration: (node) => owner("get", element("configure", { node })),
    configure: (node, form) => owner("set", element("configure", { node }, [form])),
    defaults: () => owner("get", element("default")),
    affiliations: (node) => owner("get", element("affiliations", { node })),
    affiliate: (node, list) => owner("set", element("affiliations", { node }, list.map(affiliationElement))),
    subscriptions: () => pubsub("get", [element("subscriptions")]),
    subscribe: (node, jid) => pubsub("set", [element("subscribe", { node, jid })]),
    delete: (node) => owner("set", element("delete", { node })),
    unsubscribe: (node, { jid, subid }) => pubsub("set", [element("unsubscribe", { node, jid, subid })]),
    publish: (node, id, payload) =>
      pubsub("set", [element("publish", { node }, [element("item", { id }, [payload])])]),
    retract: (node, id, notify) =>
      pubsub("set", [element("retract", { node, notify: String(notify) }, [element("item", { id })])]),
    items: (node, which) => {
      const wanted = "ids" in which ? which.ids.map((id) => element("item", { id })) : [];
      const most = "most" in which ? String(which.most) : undefined;
      return pubsub("get", [element("items", { node, max_items: most }, wanted)]);
    },
    itemIds: (node) => iq("get", element("query", { xmlns: Namespace.discoItems, node })),
    info: (node) => iq("get", element("query", { xmlns: Namespace.discoInfo, node })),
    list: (page) =>
      iq(
        "get",
        element("query", { xmlns: Namespace.discoItems }, page === undefined ? [] : [pageElement(page)]),
      ),
  };
}

const affiliationElement = ({ jid, affiliation }: Affiliation): Element =>
  element("affiliation", { jid, affiliation });

function pageElement({ most, after }: { readonly most: number; readonly after?: string }): Element {
  const max = element("max", {}, [String(most)]);
  return element("set", { xmlns: RSM }, after === undefined ? [max] : [max, element("after", {}, [after])]);
}

/** The items in an answer to {@link PubsubRequests.items}, as the server lists them. */
export const itemsOf = (answer: Element): readonly Element[] =>
  answer.getChild("pubsub", Namespace.pubsub)?.getChild("items", Namespace.pubsub)?.getChildren("item") ?? [];

/** Of a page: where the next one begins; undefined: it was the last, or the service knows no pages. */
export function nextPageOf(query: Element): string | undefined {
  const last = query.getChild("set", RSM)?.getChild("last")?.getText();
  return last === "" ? undefined : last;
}

/** The feature of services that answer in pages. */
export const PAGES_FEATURE: string = RSM;
