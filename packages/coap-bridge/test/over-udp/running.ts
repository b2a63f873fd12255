import { type Access, allowAll, type Clock, createHub, type Hub, systemClock } from "@nomq/core";
import { type CoapEndpoint, openCoapEndpoint } from "../../../../test/real/coap-endpoint.ts";
import { blockOf, blockValue, GET, OPTION, optionOf, PUT } from "../../../../test/real/coap-wire.ts";
import { type CoapBridgeOptions, createCoapBridge } from "../../src/index.ts";

/** A hub with a CoAP bridge on a port of its own, and clients for it. */
export interface Running extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: number;
  client(): Promise<CoapEndpoint>;
}

/** Starts one. */
export async function running(
  options: CoapBridgeOptions = {},
  { clock = systemClock, access = allowAll }: { clock?: Clock; access?: Access } = {},
): Promise<Running> {
  const hub = createHub({ clock, access });
  const bridge = createCoapBridge({ listen: ["coap://127.0.0.1:0"], ...options });
  hub.add(bridge);
  await hub.start();
  const port = Number(bridge.addresses()[0]?.split(":").at(-1));
  const clients: CoapEndpoint[] = [];
  return {
    hub,
    port,
    async client() {
      const client = await openCoapEndpoint(port);
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

/** A Block option. */
export const block = (number: number, num: number, more: boolean, size: number): [number, Buffer] => [
  number,
  blockValue({ num, more, size }),
];

/** Sends a body in blocks, each with a token of its own; the codes of the answers. */
export async function put(
  client: CoapEndpoint,
  uri: string,
  { body, size }: { body: string; size: number },
): Promise<string[]> {
  const codes: string[] = [];
  for (let at = 0; at < body.length; at += size) {
    const options = [block(OPTION.block1, at / size, at + size < body.length, size)];
    codes.push((await client.ask({ code: PUT, uri, options, payload: body.slice(at, at + size) })).code);
  }
  return codes;
}

/** Fetches a body from a block on; the text, and the ETags seen. */
export async function get(
  client: CoapEndpoint,
  uri: string,
  { size, from = 0 }: { size: number; from?: number },
): Promise<{ body: string; etags: readonly string[] }> {
  let body = "";
  const etags = new Set<string>();
  for (let num = from; ; num += 1) {
    const answer = await client.ask({ code: GET, uri, options: [block(OPTION.block2, num, false, size)] });
    body += answer.payload;
    etags.add(optionOf(answer, OPTION.etag)?.toString("hex") ?? answer.code);
    if (blockOf(answer, OPTION.block2)?.more !== true) return { body, etags: [...etags] };
  }
}
