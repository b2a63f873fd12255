import type { Receipt } from "@nomq/core";
import { decodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, OptionNumber } from "../../src/wire/coap-message.ts";
import type { Code } from "../../src/wire/code.ts";
import { findOption } from "../../src/wire/options.ts";
import type { World, WorldOptions } from "./world.ts";

export const CHANNEL = "actuators/valve";
export const NAME = "coap:send:valve";
export const sending = (more: object = {}): WorldOptions["client"] => ({
  send: [{ name: "valve", from: CHANNEL, url: "coap://10.0.0.9/valve", ...more }],
});
export const answering =
  (code: Code, more: object = {}): NonNullable<WorldOptions["prepare"]> =>
  (peer) => {
    peer.serve = () => ({ code, ...more });
  };

export interface Publishing {
  readonly payload?: string | Uint8Array;
  readonly channel?: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly contentType?: string;
  readonly ttlMs?: number;
}

/** Publishes and lets it happen; the receipt as it is then. */
export async function publish(
  world: World,
  how: Publishing = {},
): Promise<() => Promise<Receipt | undefined>> {
  const { payload = "open", channel = CHANNEL, qos = 1, ...rest } = how;
  const draft = { channel, qos, payload: Buffer.from(payload), ...rest };
  const { id } = await world.hub.port("test").publish(draft, "*");
  await world.settle();
  return () => world.port().receipt(id);
}
export const outcomeAt = (receipt: Receipt | undefined): string | undefined => {
  const outcome = receipt?.outcomes.find(({ attachment }) => attachment === NAME);
  return outcome && [outcome.is, ...(outcome.reason === undefined ? [] : [outcome.reason])].join(": ");
};
export const block1 = (message: CoapMessage): string | undefined => {
  const option = findOption(message.options, OptionNumber.block1);
  const block = option && decodeBlock(option.value);
  return block && `${block.num}/${block.more ? 1 : 0}/${16 << block.szx}`;
};
