import { createHash } from "node:crypto";
import type { StateChange } from "@nomq/core";

const PREFIX = "took/";

/** In place of a print: the state was cleared. */
export const CLEARED = "";

/** That an item was taken in, as it stood. Written in the commit of its message: both last, or neither. */
export interface Mark {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Names of nodes and ids of items may be longer than a store's key should be. */
export const shortOf = (name: string): string => createHash("sha256").update(name).digest("base64url");

const keyOf = (node: string, id: string): Uint8Array => Buffer.from(`${PREFIX}${shortOf(node)}/${id}`);

/** The mark of an item of a node; `print` as in its memory. */
export const markOf = (node: string, id: string, print: string): Mark => ({
  key: keyOf(node, shortOf(id)),
  value: Buffer.from(print),
});

/** The marks of a node by what {@link readMark} says of their items. */
export const marksOf = (node: string, ids: Iterable<string>): readonly Pick<Mark, "key">[] =>
  [...ids].map((id) => ({ key: keyOf(node, id) }));

/** A mark read back. */
export interface ReadMark {
  /** Of the node and of the item's id. */
  readonly node: string;
  readonly id: string;
  readonly print: string;
}

/** Reads one; undefined: the key is not one. */
export function readMark(key: Uint8Array, value: Uint8Array): ReadMark | undefined {
  const [prefix, node, id] = Buffer.from(key).toString().split("/");
  if (`${prefix}/` !== PREFIX || node === undefined || id === undefined) return undefined;
  return { node, id, print: Buffer.from(value).toString() };
}

/** What ends a mark, once the memory of its node says the same. */
export const endOf = ({ key }: Pick<Mark, "key">): StateChange => ({ key });
