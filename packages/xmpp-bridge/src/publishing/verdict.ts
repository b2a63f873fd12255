import type { IqAnswer } from "../link/link.ts";

/** What an answer to a request of ours means for the message behind it. */
export type Verdict =
  | { readonly is: "done" }
  /** The item or its node is not there. */
  | { readonly is: "missing" }
  | { readonly is: "again"; readonly reason: string }
  /** No pubsub service answers at all: no message can be published. */
  | { readonly is: "no-service"; readonly reason: string }
  | { readonly is: "refused"; readonly reason: string; readonly isPoison?: true };

/** What servers say in place of a service that is not there, or not now. */
const NO_SERVICE: readonly string[] = [
  "remote-server-not-found",
  "remote-server-timeout",
  "service-unavailable",
];

/** Reads an answer (RFC 6120 section 8.3, XEP-0060 section 7). */
export function verdictOf(answer: IqAnswer): Verdict {
  switch (answer.is) {
    case "result":
      return { is: "done" };
    case "unanswered":
      return { is: "again", reason: "no answer" };
    case "aborted":
      return { is: "again", reason: "given up" };
    case "poison":
      return { is: "refused", reason: `poison: ${answer.reason}`, isPoison: true };
    case "error":
      return ofError(answer);
  }
}

function ofError({ type, condition, pubsub }: Extract<IqAnswer, { is: "error" }>): Verdict {
  // `service-unavailable` with a condition of XEP-0060 is the service's own word.
  if (NO_SERVICE.includes(condition) && pubsub === undefined) return { is: "no-service", reason: condition };
  if (condition === "item-not-found") return { is: "missing" };
  const reason = pubsub === undefined ? condition : `${condition}: ${pubsub}`;
  return type === "wait" ? { is: "again", reason } : { is: "refused", reason };
}
