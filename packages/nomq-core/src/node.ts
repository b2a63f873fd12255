import type { NomqNode, NomqNodeOptions } from "./node/contract.ts";

export type * from "./node/contract.ts";

/** Makes a node; nothing is opened before `start`. Throws `key-invalid` without a usable key. */
export function createNomqNode(options: NomqNodeOptions): NomqNode {
  throw new Error(`not yet: ${options.keys.length}`);
}
