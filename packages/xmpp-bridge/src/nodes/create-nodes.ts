import { type AbortOptions, AgedMap, type Clock, type Log } from "@nomq/core";
import type { Link } from "../link/link.ts";
import { nodeOfChannel } from "./node-name.ts";
import type { FailedNode, Keeping, NodeProblem, Nodes, ReadyNode } from "./nodes.ts";
import { eachOf } from "./pool.ts";
import { checkNode, type Prepared, prepareNode, type Server } from "./prepare-node.ts";
import { requestsTo } from "./pubsub-request.ts";
import { askService } from "./service.ts";
import { createServiceInfo, type ServiceInfo } from "./service-info.ts";
import type { NodeAccess } from "./wanted-config.ts";

/** What own nodes need. */
export interface NodesOptions {
  readonly link: Link;
  /** The address of the pubsub service. */
  readonly pubsub: string;
  /** What it says of itself; default: asked for nobody else. */
  readonly info?: ServiceInfo;
  readonly clock: Clock;
  readonly log: Log;
  /** Items kept on nodes with events. Default 250. */
  readonly history?: number;
  readonly access?: NodeAccess;
  /** Nodes known at once; the oldest is asked for again when it is next used. Default 100,000. */
  readonly mostNodes?: number;
  /** A node has just been made, also where one was before: nothing lies on it yet. */
  made?(channel: string): void;
  /** A node that was there has gone, and has been made again, empty. */
  rebuilt?(channel: string): void;
}

/** Checked at a time after a new session, so that publishing keeps most of the window. */
const RECHECKED_AT_ONCE = 4;
const MOST_PROBLEMS = 100;

interface Known {
  readonly channel: string;
  ready: ReadyNode | undefined;
  /** In which session that was. */
  session: number;
  /** It was gone when last looked at, and has been made again. */
  isRebuilt: boolean;
  /** Preparations under way and waiting, one after the other. */
  last: Promise<ReadyNode | FailedNode> | undefined;
}

/** Makes {@link Nodes}; asks nobody anything yet. */
export function createNodes(options: NodesOptions): Nodes {
  const { link, pubsub, clock, log, history = 250, access = {}, mostNodes = 100_000 } = options;
  const requests = requestsTo(pubsub);
  const { info = createServiceInfo({ link, requests }) } = options;
  const known = new AgedMap<string, Known>();
  const problems = new AgedMap<string, NodeProblem & { readonly channel: string }>();
  const counts = { created: 0, configured: 0, rebuilt: 0, failed: 0 };
  let session = 0;
  let kind: "prosody" | "ejabberd" | "other" = "other";
  let server: Omit<Server, "ask"> = { requests, defaults: undefined, learnt: nothingLearnt() };

  const entryOf = (channel: string): Known => {
    const found = known.get(channel);
    if (found !== undefined) return found;
    const made: Known = { channel, ready: undefined, session: -1, isRebuilt: false, last: undefined };
    known.set(channel, made);
    const oldest = known.oldest();
    if (known.size > mostNodes && oldest !== undefined) known.delete(oldest);
    return made;
  };
  const tell = ({ channel }: Known, node: string, reason: string | undefined): void => {
    if (reason === undefined) {
      problems.delete(node);
      return;
    }
    if (problems.get(node)?.reason !== reason) {
      problems.set(node, { channel, node, reason, since: clock.now() });
      log.warn("XMPP node is not as it should be", { node: node.slice(0, 300), reason });
    }
    const oldest = problems.oldest();
    if (problems.size > MOST_PROBLEMS && oldest !== undefined) problems.delete(oldest);
  };
  const settle = (entry: Known, node: string, result: Prepared): ReadyNode | FailedNode => {
    if (result.is === "failed") {
      entry.ready = undefined;
      counts.failed += 1;
      const { answer } = result;
      if (answer.is === "error")
        tell(
          entry,
          node,
          answer.text === undefined ? answer.condition : `${answer.condition}: ${answer.text.slice(0, 500)}`,
        );
      return { is: "failed", node, answer };
    }
    if (result.did !== "nothing") counts[result.did] += 1;
    tell(entry, node, result.deviation);
    const { keeping, items } = result;
    if (result.isForeign && entry.ready === undefined)
      log.warn("XMPP node is somebody else's: published to, but not set up by us", {
        node: node.slice(0, 300),
      });
    entry.ready = { is: "ready", node, keeping, items, renews: kind === "prosody" };
    return entry.ready;
  };
  const work = async (
    entry: Known,
    keeping: Keeping,
    { signal }: AbortOptions,
  ): Promise<ReadyNode | FailedNode> => {
    const node = nodeOfChannel(entry.channel);
    const current = session;
    if (isEnough(entry, keeping, current) && entry.ready !== undefined) return entry.ready;
    const wasThere = entry.ready !== undefined;
    const asking: Server = {
      ...server,
      ask: (iq) => link.request(iq, signal === undefined ? {} : { signal }),
    };
    const wish = {
      channel: entry.channel,
      node,
      keeping: wider(keeping, entry.ready?.keeping),
      history,
      access,
      forcesRetracts: kind === "ejabberd",
    };
    const result = await (entry.ready === undefined ? prepareNode(asking, wish) : checkNode(asking, wish));
    const isMade = result.is === "ready" && result.did === "created";
    if (isMade) options.made?.(entry.channel);
    entry.isRebuilt = wasThere && isMade;
    if (entry.isRebuilt) counts.rebuilt += 1;
    if (entry.isRebuilt) options.rebuilt?.(entry.channel);
    // A session that began meanwhile may be another server's: the next use looks again.
    entry.session = current;
    return settle(entry, node, result);
  };
  const isEnough = (entry: Known, keeping: Keeping, now: number): boolean =>
    entry.ready !== undefined &&
    entry.session === now &&
    (keeping === "state" || entry.ready.keeping === "history");
  const prepare = (
    channel: string,
    keeping: Keeping,
    asked: AbortOptions = {},
  ): Promise<ReadyNode | FailedNode> => {
    const entry = entryOf(channel);
    const before = entry.last;
    const mine =
      before === undefined ? work(entry, keeping, asked) : before.then(() => work(entry, keeping, asked));
    entry.last = mine;
    void mine.then(() => {
      if (entry.last === mine) entry.last = undefined;
    });
    return mine;
  };

  return {
    prepare,
    async begin(asked = {}) {
      session += 1;
      const found = await askService({ info, link, requests }, asked);
      if (found.service.is === "there") kind = found.service.kind;
      server = { requests, defaults: found.defaults ?? server.defaults, learnt: nothingLearnt() };
      return found.service;
    },
    ready(channel, keeping) {
      const entry = known.get(channel);
      if (entry === undefined || entry.last !== undefined || !isEnough(entry, keeping, session))
        return undefined;
      return entry.ready;
    },
    forget(channel) {
      const entry = known.get(channel);
      if (entry !== undefined) entry.session = -1;
    },
    async recheck(asked = {}) {
      const current = session;
      const rebuilt: string[] = [];
      const stale = [...known.values()].filter(
        (each) => each.ready !== undefined && each.session !== current,
      );
      const goesOn = (): boolean => session === current && asked.signal?.aborted !== true;
      await eachOf(stale, { most: RECHECKED_AT_ONCE, goesOn }, async (entry) => {
        if (entry.session === current) return;
        await prepare(entry.channel, entry.ready?.keeping ?? "state", asked);
        if (entry.isRebuilt) rebuilt.push(entry.channel);
      });
      return rebuilt;
    },
    letOff() {
      const left = [...problems.values()].filter(({ channel }) => known.get(channel)?.ready === undefined);
      for (const { node } of left) problems.delete(node);
      return left.map(({ channel }) => channel);
    },
    problems: () => [...problems.values()].map(({ node, reason, since }) => ({ node, reason, since })),
    counts: () => ({ known: known.size, ...counts }),
  };
}

const nothingLearnt = (): Server["learnt"] => ({ rung: 0, made: new Map() });

const wider = (one: Keeping, other: Keeping | undefined): Keeping => (other === "history" ? other : one);
