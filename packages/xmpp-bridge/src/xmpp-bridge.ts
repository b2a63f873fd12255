import type { AbortOptions, Bridge, CancelTimer, Port } from "@nomq/core";
import { createStatusFeed, isValidFilter, NomqError, systemClock } from "@nomq/core";
import { assemble, type Parts } from "./assemble.ts";
import { createCounters, type XmppCounts } from "./counters.ts";
import { type XmppBridgeOptions, xmppSettings } from "./options.ts";
import { createServiceWatch, type ServiceState, type ServiceWatch } from "./publishing/service-watch.ts";
import { createServiceRecords } from "./service-records.ts";
import { statusOf } from "./status.ts";

/** The XMPP side of a hub. */
export interface XmppBridge extends Bridge {
  /** What it has published, received and refused since it was made, and how its connection is. */
  counts(): XmppCounts;
}

/** What a bridge holds between `attach` and `stop`. */
interface Attached extends Parts {
  readonly watch: ServiceWatch;
  readonly record: (state: ServiceState) => void;
}

/** What nobody tells of is looked at so often. */
const LOOK_MS = 5_000;

/**
 * Makes the XMPP side of a hub: a client of one pubsub service, whose nodes are the channels. Throws `config-invalid` or
 * `not-available-yet`; opens nothing before `start`.
 */
export function createXmppBridge(options: XmppBridgeOptions): XmppBridge {
  const settings = xmppSettings(options);
  const { pubsub, service } = settings;
  const counters = createCounters();
  let attached: Attached | undefined;
  /** Counts go on being read after a stop. */
  let counted: Attached | undefined;
  let isStarted = false;
  let stopping: Promise<void> | undefined;
  let cancelLook: CancelTimer | undefined;
  const feed = createStatusFeed(() => (attached?.port.clock ?? systemClock).now());

  const say = (): void => {
    if (attached === undefined || !isStarted) return;
    const { link, nodes, receiving, refusing, watch } = attached;
    const { slow } = link.counts();
    // A node that could not be made has refused its messages too: one line of it.
    const problems = new Map([...refusing.list(), ...nodes.problems()].map((each) => [each.node, each]));
    const parts = { service, pubsub, state: watch.state(), nodes: [...problems.values()], slow };
    const { state, reason } = statusOf({ ...parts, receiving: receiving.problems() });
    if (state !== "closed") feed.set(state, reason);
  };
  const look = (): void => {
    say();
    cancelLook = attached?.port.clock.after(LOOK_MS, look);
  };
  const moved = (state: ServiceState): void => {
    say();
    if (attached === undefined) return;
    const { attachment, expiries, publisher, record } = attached;
    record(state);
    if (state.is === "there") {
      expiries.resume();
      attachment.resume();
      return;
    }
    expiries.pause();
    attachment.pause(feed.current().reason ?? state.is);
    // A lost link answers its requests when it is back; nobody else does for a service that is not there.
    if (state.is === "absent") publisher.failAll(state.reason);
  };
  const returned = (): void => {
    if (attached === undefined) return;
    const { attachment, nodes, recent, refusing } = attached;
    // What stood in the way may have been mended: state that was refused is tried again, and tells.
    const refused = [...nodes.letOff(), ...refusing.letOff()];
    const channels = [...new Set([...recent.all(), ...refused])].filter(isValidFilter);
    if (channels.length > 0) attachment.repair(channels);
    if (refused.length > 0) say();
  };
  const attach = async (port: Port): Promise<void> => {
    const noService = (reason: string): void => attached?.watch.lost(reason);
    const parts = await assemble(port, { settings, counters, changed: say, noService });
    const { link, nodes } = parts;
    const watch = createServiceWatch({ link, nodes, clock: port.clock, changed: moved, returned });
    attached = { ...parts, watch, record: createServiceRecords(port, settings) };
    counted = attached;
    stopping = undefined;
  };
  const start = async ({ signal }: AbortOptions = {}): Promise<void> => {
    if (attached === undefined)
      throw new NomqError("closed", "the XMPP bridge is not attached to a hub: hub.add() it");
    if (signal?.aborted === true) throw new NomqError("aborted", "the XMPP bridge was told not to start");
    if (isStarted) return;
    isStarted = true;
    attached.watch.start();
    attached.receiving.start();
    attached.link.start();
    look();
  };
  const stopOnce = async (): Promise<void> => {
    cancelLook?.();
    cancelLook = undefined;
    isStarted = false;
    const current = attached;
    if (current !== undefined) await endAll(current);
    feed.set("closed");
    attached = undefined;
  };
  const stop = (): Promise<void> => {
    stopping ??= stopOnce();
    return stopping;
  };

  return {
    name: "xmpp",
    attach,
    start,
    stop,
    status() {
      say();
      return feed.current();
    },
    statusChanges: (abort?: AbortOptions) => feed.changes(abort),
    // It listens nowhere.
    addresses: () => [],
    counts: () => ({
      publishing: { ...counters.read(), expiring: counted?.expiries.size ?? 0 },
      messagesRefused: counted?.receiving.counts().refused ?? {},
      ...(counted && {
        link: counted.link.counts(),
        nodes: counted.nodes.counts(),
        receiving: counted.receiving.counts(),
      }),
    }),
    [Symbol.asyncDispose]: stop,
  };
}

/** What is on its way is waited for while somebody can answer. */
async function endAll({ attachment, expiries, link, publisher, receiving, watch }: Attached): Promise<void> {
  const isThere = watch.state().is === "there";
  watch.stop();
  expiries.pause();
  attachment.pause("stopping");
  if (!isThere) publisher.failAll("stopping");
  // What has come in is stored or comes again; what goes out is answered.
  await Promise.all([receiving[Symbol.asyncDispose](), attachment[Symbol.asyncDispose]()]);
  await link[Symbol.asyncDispose]();
}
