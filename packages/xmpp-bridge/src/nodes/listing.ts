import type { IqAnswer } from "../link/link.ts";
import { type Element, Namespace } from "../stream/element.ts";
import { ownText } from "../stream/own-text.ts";
import { formIn } from "./config-form.ts";
import { nextPageOf, PAGES_FEATURE, type PubsubRequests } from "./pubsub-request.ts";
import { createTurns } from "./turns.ts";

/** More nodes of a service are not read. */
const MOST_NODES = 100_000;
const PAGE = 200;
/** Services may make their pages shorter than asked for, but not as short as they like. */
const MOST_PAGES = 2_000;

/** Asks the service. */
export interface Asking {
  readonly requests: PubsubRequests;
  ask(iq: Element, timeoutMs?: number): Promise<IqAnswer>;
}

/**
 * Once a node with subscribers was deleted, Prosody 0.12.3 never answers who asks for subscriptions (it stumbles over the
 * missing node) until it is started anew.
 */
const SUBSCRIPTIONS_MS = 3_000;

/** The nodes of a service. */
export interface Listing {
  /** Titles by node; undefined where it has none. */
  readonly nodes: ReadonlyMap<string, string | undefined>;
  /** Why nodes may be missing: a condition, or `cut-at-100`: ejabberd lists no more unless told (`max_nodes_discoitems`). */
  readonly missing?: string;
}

/** Whether the service lists in pages, as it says of itself. */
export function hasPages(answer: IqAnswer): boolean {
  if (answer.is !== "result") return false;
  const features = answer.stanza.getChild("query", Namespace.discoInfo)?.getChildren("feature") ?? [];
  return features.some(({ attrs }) => attrs["var"] === PAGES_FEATURE);
}

/** Lists the nodes, page by page where the service has pages. */
export async function listNodes({ ask, requests }: Asking, pages: boolean): Promise<Listing> {
  const nodes = new Map<string, string | undefined>();
  const turn = createTurns();
  let after: string | undefined;
  for (let pagesRead = 0; pagesRead < MOST_PAGES; pagesRead += 1) {
    const page = { most: PAGE, ...(after === undefined ? {} : { after }) };
    const answer = await ask(requests.list(pages ? page : undefined));
    if (answer.is !== "result")
      return { nodes, missing: answer.is === "error" ? answer.condition : answer.is };
    const before = nodes.size;
    const query = answer.stanza.getChild("query", Namespace.discoItems);
    for (const { attrs } of query?.getChildren("item") ?? []) {
      const others = turn();
      if (others !== undefined) await others;
      if (attrs["node"] !== undefined && nodes.size < MOST_NODES) nodes.set(attrs["node"], attrs["name"]);
    }
    // A page without anything new is the last, whatever it says.
    after = query === undefined || nodes.size === before || !pages ? undefined : nextPageOf(query);
    if (after === undefined || nodes.size >= MOST_NODES) break;
  }
  if (after !== undefined || nodes.size >= MOST_NODES) return { nodes, missing: `cut-at-${nodes.size}` };
  return !pages && nodes.size === 100 ? { nodes, missing: "cut-at-100" } : { nodes };
}

/** The title of one node; undefined: none, or not told. */
export async function titleOf({ ask, requests }: Asking, node: string): Promise<string | undefined> {
  const answer = await ask(requests.info(node));
  if (answer.is !== "result") return undefined;
  const query = answer.stanza.getChild("query", Namespace.discoInfo);
  const title = formIn(query)?.values.get("title") ?? query?.getChild("identity")?.attrs["name"];
  return title && ownText(title);
}

/** A subscription of ours. */
export interface Subscription {
  readonly node: string;
  readonly jid: string;
  readonly subid?: string;
}

/** Our subscriptions that are in force; undefined: the service does not tell. */
export async function listSubscriptions({
  ask,
  requests,
}: Asking): Promise<readonly Subscription[] | undefined> {
  const answer = await ask(requests.subscriptions(), SUBSCRIPTIONS_MS);
  if (answer.is !== "result") return undefined;
  const list = answer.stanza.getChild("pubsub", Namespace.pubsub)?.getChild("subscriptions");
  const found: Subscription[] = [];
  for (const { attrs } of list?.getChildren("subscription") ?? []) {
    const { node, jid, subid, subscription } = attrs;
    if (node === undefined || jid === undefined || found.length >= MOST_NODES) continue;
    if ((subscription ?? "subscribed") === "subscribed")
      found.push({ node, jid, ...(subid === undefined ? {} : { subid }) });
  }
  return found;
}
