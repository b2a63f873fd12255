import type { CoapMessage } from "../../src/wire/coap-message.ts";
import { Method } from "../../src/wire/code.ts";
import { readUint } from "../../src/wire/option-value.ts";
import { findOption } from "../../src/wire/options.ts";
import { type Asking, block, codeOf, type ToyServer } from "./toy-server.ts";

/** A body to be sent in blocks. */
export interface Sending extends Asking {
  readonly body: Uint8Array;
  readonly szx: number;
}

/** One block of a body. */
export function part({ body, szx, ...asking }: Sending, num: number): Asking {
  const size = 16 << szx;
  const end = (num + 1) * size;
  const payload = body.subarray(num * size, end);
  return { code: Method.put, ...asking, payload, block1: block(num, end < body.length, szx) };
}

/** Sends blocks in this order; the answers. */
export async function send(
  server: ToyServer,
  sending: Sending,
  nums: readonly number[],
): Promise<CoapMessage[]> {
  const answers: CoapMessage[] = [];
  for (const num of nums) answers.push(await server.ask(part(sending, num)));
  return answers;
}

export const codes = (answers: readonly CoapMessage[]): string[] => answers.map(codeOf);
export const uintOf = (answer: CoapMessage | undefined, number: number): number | undefined => {
  const value = answer && findOption(answer.options, number)?.value;
  return value && readUint(value, 4);
};
