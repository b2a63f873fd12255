import type { Message } from "@nomq/core";
import type { IqFailure } from "../link/link.ts";
import type { Asking } from "../nodes/listing.ts";
import { readItemIds } from "./catch-up.ts";
import { isRemembered, isSamePrint, type NodeMemory, printOf, youngestEvent } from "./node-memory.ts";
import type { Place } from "./place.ts";

/** What became of a state of ours that the node has no more. */
export type GoneState =
  /** Somebody took it back: the channel has none any more. */
  | { readonly is: "retracted" }
  /** Events of others pushed it out of the history: it belongs there. */
  | { readonly is: "evicted" }
  /** We took it back, or set another meanwhile, or the node is not the one it was: the hub knows best. */
  | { readonly is: "known" }
  | { readonly is: "failed"; readonly answer: IqFailure };

/** What telling needs. */
export interface GoneStateUse {
  readonly asking: Asking;
  readonly gateway: string;
  /** The channel's value in the hub. */
  latest(channel: string): Promise<Message | undefined>;
  /** Our subscription has outlived the outage: so has the node. */
  readonly isSameNode: boolean;
}

/** Tells. Servers forget the oldest items first: where one from before the state still lies, it was no eviction. */
export async function ownStateGone(
  { channel, memory, node }: Place,
  { asking, gateway, isSameNode, latest }: GoneStateUse,
): Promise<GoneState> {
  if (!isSameNode || !isStateOf(await latest(channel), memory, gateway)) return { is: "known" };
  const ids = await readItemIds(asking, node);
  if ("answer" in ids) return { is: "failed", answer: ids.answer };
  const isRetracted = ids.ids.length === 0 || ids.ids.some((id) => isFromBefore(memory, id));
  return { is: isRetracted ? "retracted" : "evicted" };
}

/** Whether the hub's value is the one that lay there. */
export function isStateOf(value: Message | undefined, { current }: NodeMemory, gateway: string): boolean {
  if (value === undefined) return false;
  const prints = [printOf({ ...value, gateway, originId: value.id }), printOf(value)];
  return prints.some((print) => isSamePrint(current?.print, print));
}

/** Whether the event was seen before the state was. */
function isFromBefore(memory: NodeMemory, id: string): boolean {
  const after = memory.current?.after;
  if (after === undefined || !isRemembered(memory, id)) return false;
  return youngestEvent(memory, [id, after]) === after;
}
