import type { IqAnswer, Link, RequestOptions } from "../../src/link/link.ts";
import type { Nodes, ReadyNode } from "../../src/nodes/nodes.ts";
import { readItem } from "../../src/payload/item.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";

/** What the service does with a request. */
export type Fate =
  | "done"
  /** It is done, and no answer comes. */
  | "done-unanswered"
  | "unanswered"
  | "wait"
  | "forbidden"
  | "poison"
  | "no-service"
  /** It stays open until {@link ToyService.answer}. */
  | "held";

/** An item on a toy node. */
export interface ToyItem {
  readonly id: string;
  readonly text: string;
  readonly payload: Element;
}

/** A pubsub service of one process: its requests are done in order, unless told otherwise. */
export interface ToyService {
  readonly link: Pick<Link, "request">;
  readonly nodes: Pick<Nodes, "ready" | "prepare" | "forget">;
  /** Items by node, oldest first. */
  readonly items: ReadonlyMap<string, readonly ToyItem[]>;
  /** Every request as `publish NODE ITEM`, `retract NODE ITEM`, `read NODE ITEM`, in the order they came. */
  readonly asked: readonly string[];
  /** The fate of the next requests; default `done`. */
  fate: (asked: string) => Fate;
  /** Answers what is held, oldest first, as `fate` says now. */
  answer(): void;
  /** Items that a node with a history keeps. Default 10. */
  history: number;
  /** The node is gone, its items too. */
  drop(node: string): void;
  /** How `prepare` ends; undefined: well. */
  prepares: ((channel: string) => IqAnswer | undefined) | undefined;
}

const result = (children: Element[] = []): IqAnswer => ({
  is: "result",
  stanza: element("iq", { type: "result" }, children),
});
const error = (type: "wait" | "auth" | "cancel", condition: string): IqAnswer => ({
  is: "error",
  type,
  condition,
});

/** Makes one without nodes. */
export function createToyService(): ToyService {
  const items = new Map<string, ToyItem[]>();
  const depth = new Map<string, number>();
  const asked: string[] = [];
  const held: { readonly text: string; readonly iq: Element; resolve(answer: IqAnswer): void }[] = [];

  const act = (iq: Element): IqAnswer => {
    const pubsub = iq.getChild("pubsub", Namespace.pubsub);
    const [action] = pubsub?.getChildElements() ?? [];
    const node = action?.attrs["node"] ?? "";
    const item = action?.getChild("item");
    const id = item?.attrs["id"] ?? "";
    const there = items.get(node);
    if (there === undefined || action === undefined) return error("cancel", "item-not-found");
    const found = there.findIndex((one) => one.id === id);
    if (action.name === "items") {
      const one = there[found];
      const children = one === undefined ? [] : [element("item", { id }, [parsed(one.payload.toString())])];
      const list = element("items", { node }, children);
      return result([element("pubsub", { xmlns: Namespace.pubsub }, [list])]);
    }
    if (found >= 0) there.splice(found, 1);
    if (action.name === "retract") return found >= 0 ? result() : error("cancel", "item-not-found");
    const [payload] = item?.getChildElements() ?? [];
    if (payload === undefined) return error("cancel", "bad-request");
    // As a server would: written and read.
    const read = readItem(parsed(payload.toString()));
    there.push({ id, payload, text: Buffer.from(read?.payload ?? []).toString() });
    while (there.length > (depth.get(node) ?? 1)) there.shift();
    return result();
  };
  const named = (iq: Element): string => {
    const [action] = iq.getChild("pubsub", Namespace.pubsub)?.getChildElements() ?? [];
    const name = action?.name === "items" ? "read" : (action?.name ?? "");
    return `${name} ${action?.attrs["node"]} ${action?.getChild("item")?.attrs["id"]}`;
  };
  const answerTo = (iq: Element, fate: Exclude<Fate, "held">): IqAnswer => {
    switch (fate) {
      case "done":
        return act(iq);
      case "done-unanswered":
        act(iq);
        return { is: "unanswered" };
      case "unanswered":
        return { is: "unanswered" };
      case "wait":
        return error("wait", "resource-constraint");
      case "forbidden":
        return error("auth", "forbidden");
      case "poison":
        return { is: "poison", reason: "not-well-formed" };
      case "no-service":
        return error("cancel", "remote-server-not-found");
    }
  };
  const request = (iq: Element, { signal }: RequestOptions = {}): Promise<IqAnswer> => {
    if (signal?.aborted === true) return Promise.resolve({ is: "aborted" });
    const text = named(iq);
    asked.push(text);
    const { promise, resolve } = Promise.withResolvers<IqAnswer>();
    signal?.addEventListener("abort", () => resolve({ is: "aborted" }), { once: true });
    const fate = toy.fate(text);
    if (fate === "held") held.push({ text, iq, resolve });
    else {
      const answer = answerTo(iq, fate);
      // An answer never comes in the turn of its request.
      setImmediate(() => resolve(answer));
    }
    return promise;
  };
  const ready = (channel: string, keeping: "state" | "history"): ReadyNode | undefined => {
    const kept = depth.get(channel);
    if (kept === undefined || !items.has(channel) || (keeping === "history" && kept === 1)) return undefined;
    return {
      is: "ready",
      node: channel,
      keeping: kept === 1 ? "state" : "history",
      items: kept,
      renews: true,
    };
  };
  const toy: ToyService = {
    link: { request },
    items,
    asked,
    fate: () => "done",
    history: 10,
    prepares: undefined,
    answer() {
      for (const one of held.splice(0)) {
        const fate = toy.fate(one.text);
        if (fate === "held") held.push(one);
        else one.resolve(answerTo(one.iq, fate));
      }
    },
    drop(node) {
      items.delete(node);
    },
    nodes: {
      ready,
      async prepare(channel, keeping) {
        const answer = toy.prepares?.(channel);
        await new Promise<void>((resolve) => setImmediate(resolve));
        if (answer !== undefined && answer.is !== "result") return { is: "failed", node: channel, answer };
        if (!items.has(channel)) items.set(channel, []);
        depth.set(channel, Math.max(depth.get(channel) ?? 1, keeping === "history" ? toy.history : 1));
        return ready(channel, keeping) ?? { is: "failed", node: channel, answer: { is: "unanswered" } };
      },
      forget(channel) {
        if (!items.has(channel)) depth.delete(channel);
      },
    },
  };
  return toy;
}
