import { type AbortOptions, filterMatches, type Log } from "@nomq/core";
import type { Link } from "../link/link.ts";
import {
  type Asking,
  hasPages,
  type Listing,
  listNodes,
  listSubscriptions,
  type Subscription,
  titleOf,
} from "./listing.ts";
import { channelOfNode, nodeOfChannel } from "./node-name.ts";
import { eachOf } from "./pool.ts";
import { requestsTo } from "./pubsub-request.ts";
import { createServiceInfo, type ServiceInfo } from "./service-info.ts";
import { createTurns } from "./turns.ts";

/** What finding nodes needs. */
export interface FindingOptions {
  readonly link: Link;
  readonly pubsub: string;
  /** What it says of itself; default: asked for nobody else. */
  readonly info?: ServiceInfo;
  /** Channels wanted, `+` and `#` as ever. */
  readonly filters: readonly string[];
  readonly log: Log;
  /** Nodes subscribed at most. Default 10,000. */
  readonly mostNodes?: number;
  /** Channels of nodes named by a hash, as earlier runs have found them: who does not tell a title now has it still. */
  channelOf?(node: string): string | undefined;
}

/** What was found. */
export interface Found {
  /** Channels by node, of all that are wanted. */
  readonly wanted: ReadonlyMap<string, string>;
  /** Nodes that we are subscribed to already; undefined: the service does not tell. */
  readonly subscribed: ReadonlySet<string> | undefined;
  /** What an operator should know. */
  readonly problems: readonly string[];
  /** Whether a node that is not in `wanted` is surely gone. */
  readonly isComplete: boolean;
}

/** How to look. */
export interface LookOptions extends AbortOptions {
  /** The first look of a session. */
  readonly isFirst?: boolean;
}

/** Finds the nodes of the filters: no server knows wildcards, so nodes are listed, and the list is compared. */
export interface Finding {
  /** Lists nodes and subscriptions, and ends subscriptions of ours that nothing asks for. */
  look(jid: string, options?: LookOptions): Promise<Found>;
}

/** Questions and unsubscriptions open at once. */
const AT_ONCE = 8;
/** Nodes named by their hash that are asked for their titles in one round. */
const MOST_ASKED = 1_000;

/** Without wildcards no list is needed. */
const NOTHING: Listing = { nodes: new Map() };

/** Makes it; asks nobody yet. */
export function createFinding(options: FindingOptions): Finding {
  const { link, pubsub, filters, log, mostNodes = 10_000 } = options;
  const requests = requestsTo(pubsub);
  const { info = createServiceInfo({ link, requests }) } = options;
  const exact = filters.filter((filter) => !/[+#]/.test(filter));
  const patterns = filters.filter((filter) => /[+#]/.test(filter));
  const isWanted = (channel: string): boolean => filters.some((filter) => filterMatches(filter, channel));
  /** Channels of nodes named by a hash, as far as they have told their titles. */
  const resolved = new Map<string, string>();
  /** Of the others those asked in the round that is under way: each has its turn before any has another. */
  let turned: ReadonlySet<string> = new Set();
  let isCutSaid = false;
  /** The service did not tell our subscriptions in this session. */
  let isSilent = false;
  let pages = false;

  const channelOf = (node: string, title: string | undefined): string | "title" | undefined => {
    const known = resolved.get(node) ?? options.channelOf?.(node);
    if (known !== undefined) return known;
    const channel = channelOfNode(node, title);
    // A list may name a node by itself: only its own word tells that it has no title.
    return channel === undefined && channelOfNode(node) === "title" ? "title" : channel;
  };
  const nextOf = (nodes: readonly string[]): readonly string[] => {
    const left = nodes.filter((node) => !turned.has(node));
    const next = left.slice(0, MOST_ASKED);
    turned = left.length > MOST_ASKED ? new Set([...turned, ...next]) : new Set();
    return next;
  };
  const resolve = async (asking: Asking, nodes: readonly string[]): Promise<void> => {
    await eachOf(nextOf(nodes), { most: AT_ONCE }, async (node) => {
      const title = await titleOf(asking, node);
      const channel = title === undefined ? undefined : channelOfNode(node, title);
      // What nobody asks for leaves room for what somebody does.
      if (channel !== undefined && (resolved.size < mostNodes || isWanted(channel)))
        resolved.set(node, channel);
    });
  };
  const release = async (
    asking: Asking,
    own: readonly Subscription[],
    found: Map<string, string>,
  ): Promise<void> => {
    const idle = own.filter(({ node }) => !found.has(node) && channelOf(node, undefined) !== "title");
    await eachOf(idle, { most: AT_ONCE }, async ({ node, ...subscription }) => {
      await asking.ask(requests.unsubscribe(node, subscription));
    });
  };
  const say = ({ missing, nodes }: Listing): string | undefined => {
    if (missing === undefined || patterns.length === 0) return undefined;
    if (!isCutSaid)
      log.warn("the XMPP service may have nodes that it does not list", { missing, listed: nodes.size });
    isCutSaid = true;
    return `nodes-not-listed: ${missing}`;
  };

  return {
    async look(jid, { signal, isFirst = true } = {}) {
      isSilent &&= !isFirst;
      const asked = signal === undefined ? {} : { signal };
      const asking: Asking = {
        requests,
        ask: (iq, timeoutMs) => link.request(iq, timeoutMs === undefined ? asked : { ...asked, timeoutMs }),
      };
      if (isFirst && patterns.length > 0) pages = hasPages(await info.said(asked));
      const [listing, subscriptions] = await Promise.all([
        patterns.length === 0 ? NOTHING : listNodes(asking, pages),
        isSilent ? undefined : listSubscriptions(asking),
      ]);
      isSilent = subscriptions === undefined;
      const own = (subscriptions ?? []).filter((each) => each.jid === jid);
      const all = new Map([...own.map(({ node }) => [node, undefined] as const), ...listing.nodes]);
      if (listing.missing === undefined && patterns.length > 0)
        for (const node of resolved.keys()) if (!all.has(node)) resolved.delete(node);
      const turn = createTurns();
      const untitled: string[] = [];
      for (const [node, title] of all) {
        await turn();
        if (channelOf(node, title) === "title") untitled.push(node);
      }
      await resolve(asking, untitled);
      const wanted = new Map(exact.map((channel) => [nodeOfChannel(channel), channel]));
      const problems: string[] = [];
      for (const [node, title] of all) {
        await turn();
        const channel = channelOf(node, title);
        if (channel === undefined || channel === "title" || !isWanted(channel)) continue;
        if (wanted.size < mostNodes) wanted.set(node, channel);
        else if (!wanted.has(node) && problems.length === 0)
          problems.push(`too-many-nodes: more than ${mostNodes}`);
      }
      const missing = say(listing);
      if (missing !== undefined) problems.push(missing);
      await release(asking, own, wanted);
      const subscribed = isSilent ? undefined : new Set(own.map(({ node }) => node));
      return { wanted, subscribed, problems, isComplete: missing === undefined && problems.length === 0 };
    },
  };
}
