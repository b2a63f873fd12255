import type { CancelTimer, Clock } from "@nomq/core";
import type { Link, LinkState } from "../link/link.ts";
import type { Nodes } from "../nodes/nodes.ts";

/** Whether messages can be published now. */
export type ServiceState =
  | { readonly is: "there" }
  /** The link is up; who the service is, is being asked. */
  | { readonly is: "asking" }
  | { readonly is: "absent"; readonly reason: string }
  | { readonly is: "offline"; readonly link: Exclude<LinkState, { readonly is: "online" }> };

/** Follows the link, and asks in each new session whether the pubsub service is there; again, as long as it is not. */
export interface ServiceWatch {
  start(): void;
  state(): ServiceState;
  /** A request was answered by somebody else: the service has gone. */
  lost(reason: string): void;
  stop(): void;
}

/** What it needs. */
export interface ServiceWatchUse {
  readonly link: Pick<Link, "state" | "onState">;
  readonly nodes: Pick<Nodes, "begin" | "recheck">;
  readonly clock: Pick<Clock, "after">;
  /** Called on every change. */
  readonly changed: (state: ServiceState) => void;
  /** The service is there in a new session: it may have died since the last, and have forgotten what it took last. */
  readonly returned: () => void;
}

const FIRST_AGAIN_MS = 2_000;
const LONGEST_AGAIN_MS = 60_000;

/** Makes one that has not started. */
export function createServiceWatch(use: ServiceWatchUse): ServiceWatch {
  const { link, nodes, clock, changed } = use;
  let state: ServiceState = { is: "asking" };
  let session = new AbortController();
  let isFirst = true;
  /** While the link was last up. */
  let wasThere = false;
  let cancel: CancelTimer | undefined;
  let stopFollowing: (() => void) | undefined;

  const become = (next: ServiceState): void => {
    if (next.is !== "offline") wasThere = next.is === "there";
    state = next;
    changed(next);
  };
  const askLater = (reason: string, failures: number): void => {
    become({ is: "absent", reason });
    cancel?.();
    const ms = Math.min(LONGEST_AGAIN_MS, FIRST_AGAIN_MS * 2 ** Math.min(failures, 8));
    cancel = clock.after(ms, () => void ask(session, failures + 1));
  };
  const ask = async (own: AbortController, failures: number): Promise<void> => {
    cancel?.();
    const { signal } = own;
    const service = await nodes.begin({ signal });
    if (signal.aborted || own !== session) return;
    if (service.is !== "there") {
      askLater(service.reason, failures);
      return;
    }
    become({ is: "there" });
    // At the start the hub sends all state anew, and with it come the nodes.
    const wasFirst = isFirst;
    isFirst = false;
    if (wasFirst) return;
    use.returned();
    await nodes.recheck({ signal });
  };
  const end = (): void => {
    session.abort();
    cancel?.();
    cancel = undefined;
  };
  const follow = (now: LinkState): void => {
    if (now.is !== "online") {
      become({ is: "offline", link: now });
      return;
    }
    if (now.resumed && wasThere) {
      become({ is: "there" });
      return;
    }
    end();
    session = new AbortController();
    become({ is: "asking" });
    void ask(session, 0);
  };
  return {
    state: () => state,
    start() {
      stopFollowing ??= link.onState(follow);
    },
    lost(reason) {
      if (state.is === "there") askLater(reason, 0);
    },
    stop() {
      stopFollowing?.();
      stopFollowing = undefined;
      end();
    },
  };
}
