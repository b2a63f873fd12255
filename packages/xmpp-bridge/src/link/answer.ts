import { type Element, Namespace } from "../stream/element.ts";
import { conditionOf, textIn } from "../stream/stream-end.ts";
import type { IqAnswer } from "./link.ts";

const TYPES = ["auth", "cancel", "continue", "modify", "wait"] as const;

/** What an iq of type `result` or `error` says. */
export function answerOf(stanza: Element): IqAnswer {
  if (stanza.attrs["type"] === "result") return { is: "result", stanza };
  const error = stanza.getChild("error");
  const children = error?.getChildElements() ?? [];
  const condition = children.find(
    (child) => child.getNS() === Namespace.stanzas && child.getName() !== "text",
  );
  const pubsub = children.find((child) => child.getNS() === Namespace.pubsubErrors);
  const text = error && textIn(error);
  return {
    is: "error",
    type: TYPES.find((type) => type === error?.attrs["type"]) ?? "cancel",
    condition: conditionOf(condition, "undefined-condition"),
    ...(pubsub === undefined ? {} : { pubsub: conditionOf(pubsub, "unknown") }),
    ...(text === undefined ? {} : { text }),
  };
}
