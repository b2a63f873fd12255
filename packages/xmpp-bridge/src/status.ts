import type { BridgeStatus } from "@nomq/core";
import type { LinkCounts, LinkState } from "./link/link.ts";
import type { NodeProblem } from "./nodes/nodes.ts";
import type { ServiceState } from "./publishing/service-watch.ts";

/** What a status is made of. */
export interface StatusParts {
  readonly service: string;
  readonly pubsub: string;
  readonly state: ServiceState;
  readonly nodes: readonly NodeProblem[];
  readonly receiving: readonly string[];
  readonly slow: LinkCounts["slow"];
}

/** What goes up to `/healthz`. */
export type StatusNow = Pick<BridgeStatus, "state" | "reason">;

/** Longest node name said. */
const MOST_NAME = 100;

/** How the bridge is, in one line that names what to do something about. */
export function statusOf(parts: StatusParts): StatusNow {
  const { state, pubsub } = parts;
  switch (state.is) {
    case "offline":
      return offline(parts.service, state.link);
    case "asking":
      return { state: "reconnecting", reason: `asking ${pubsub}` };
    case "absent":
      return { state: "degraded", reason: `pubsub service ${pubsub}: ${absence(state.reason)}` };
    case "there": {
      const [reason] = problems(parts);
      return reason === undefined ? { state: "ready" } : { state: "degraded", reason };
    }
  }
}

/** Servers answer for a host that they do not know in many words: `not-allowed` is one. */
export const absence = (reason: string): string =>
  reason === "no-pubsub-there"
    ? "no-pubsub-there (it answers, and is no pubsub service: correct xmpp.pubsub)"
    : `${reason} (nobody there serves pubsub to this account: correct xmpp.pubsub, or start it)`;

function offline(service: string, link: Exclude<LinkState, { readonly is: "online" }>): StatusNow {
  switch (link.is) {
    case "connecting":
      // A wrong password is not mended by trying it again: the status says so until somebody is let in.
      if (link.after?.fatal) return { state: "degraded", reason: `${service}: ${link.after.reason}` };
      return { state: "reconnecting", reason: `connecting to ${service}` };
    case "waiting":
      return { state: link.fatal ? "degraded" : "reconnecting", reason: `${service}: ${link.reason}` };
    case "closed":
      return { state: "closed" };
  }
}

/** The worst first: what is not published, what is not received, what is slow. */
function problems({ nodes, receiving, slow }: StatusParts): readonly string[] {
  const found: string[] = [];
  const [node] = nodes;
  if (node !== undefined) {
    const more = nodes.length > 1 ? ` and ${nodes.length - 1} more` : "";
    found.push(`node ${JSON.stringify(node.node.slice(0, MOST_NAME))}${more}: ${node.reason}`);
  }
  found.push(...receiving);
  if (slow !== undefined)
    found.push(
      `rate-limited, or short of power: the server takes ${slow.answersPerSecond} requests a second (docs/xmpp.md)`,
    );
  return found;
}
