import type { Message } from "@nomq/core";
import { readItem } from "../payload/item.ts";
import type { Element } from "../stream/element.ts";

/** Whether the state on a node is what the hub holds: the very message, or another gateway's of the same content. */
export function isSameState(payload: Element | undefined, message: Message, gateway: string): boolean {
  const there = payload && readItem(payload);
  if (there === undefined) return false;
  if (there.gateway === gateway && there.originId === message.id) return true;
  if (there.expiresAt !== undefined || message.expiresAt !== undefined) return false;
  return there.contentType === message.contentType && Buffer.compare(there.payload, message.payload) === 0;
}
