import type { Hub } from "@nomq/core";
import { describe, expect, test } from "vitest";
import type { CoapEndpoint } from "../../../../test/real/coap-endpoint.ts";
import {
  type CoapOptionPair,
  type CoapPacket,
  DELETE,
  GET,
  numberOf,
  OPTION,
  optionOf,
  POST,
  PUT,
  uint,
} from "../../../../test/real/coap-wire.ts";
import { running } from "./running.ts";

interface Net extends AsyncDisposable {
  readonly hub: Hub;
  readonly client: CoapEndpoint;
}

async function openNet(): Promise<Net> {
  const bridge = await running();
  const client = await bridge.client();
  return { hub: bridge.hub, client, [Symbol.asyncDispose]: () => bridge[Symbol.asyncDispose]() };
}

const TOKEN = Buffer.from("obs");
const observe = (
  { client }: Net,
  uri: string,
  options: readonly CoapOptionPair[] = [],
): Promise<CoapPacket> =>
  client.ask({ code: GET, uri, token: TOKEN, options: [[OPTION.observe, Buffer.alloc(0)], ...options] });
/** The next notification after those seen so far, which a busy machine may repeat. */
const told = async ({ client }: Net, cause: () => Promise<unknown>): Promise<CoapPacket> => {
  const seen = new Set(client.received.map(({ messageId }) => messageId));
  await cause();
  const isNew = ({ messageId, token }: CoapPacket): boolean => token.equals(TOKEN) && !seen.has(messageId);
  return client.next(isNew);
};

describe("GET with Observe: one rule where there is no value", () => {
  test("a channel nobody knows is 4.04, and there is no relation", async () => {
    await using net = await openNet();
    const answer = await observe(net, "never");
    expect(answer.code).toBe("4.04");
    expect(optionOf(answer, OPTION.observe)).toBeUndefined();
  });

  test("RFC 7641 §4.1: a channel of more levels than the hub can be asked for is read, and not observed", async () => {
    await using net = await openNet();
    const uri = Array.from({ length: 600 }, () => "x").join("/");
    await net.client.ask({ code: PUT, uri, payload: "1" });
    const answer = await observe(net, uri);
    expect(answer).toMatchObject({ code: "2.05", payload: Buffer.from("1") });
    expect(optionOf(answer, OPTION.observe)).toBeUndefined();
  });

  test("a known channel without a value is an empty 2.05 with Observe and Max-Age, and goes on", async () => {
    await using net = await openNet();
    await net.client.ask({ code: POST, uri: "a", payload: "event" });
    const first = await observe(net, "a");
    expect(first).toMatchObject({ code: "2.05", payload: Buffer.alloc(0) });
    expect(numberOf(first, OPTION.observe)).toBeGreaterThan(0);
    expect(numberOf(first, OPTION.maxAge)).toBe(60);
    const next = await told(net, () => net.client.ask({ code: PUT, uri: "a", payload: "1" }));
    expect(next).toMatchObject({ code: "2.05", payload: Buffer.from("1") });
    const cleared = await told(net, () => net.client.ask({ code: PUT, uri: "a" }));
    expect(cleared).toMatchObject({ code: "2.05", payload: Buffer.alloc(0) });
    const empty = { channel: "a", payload: new Uint8Array(), retain: true };
    await told(net, () => net.client.ask({ code: PUT, uri: "a", payload: "2" }));
    const byOthers = await told(net, () => net.hub.port("mqtt").publish(empty, "*"));
    expect(byOthers).toMatchObject({ code: "2.05", payload: Buffer.alloc(0) });
  });

  test("DELETE alone ends it, with a 4.04 without Observe", async () => {
    await using net = await openNet();
    await net.client.ask({ code: PUT, uri: "a", payload: "1" });
    await observe(net, "a");
    const last = await told(net, () => net.client.ask({ code: DELETE, uri: "a" }));
    expect(last.code).toBe("4.04");
    expect(optionOf(last, OPTION.observe)).toBeUndefined();
  });

  test("the first answer is as any GET's: 2.03 for an ETag that holds, 4.06 and 4.12 without a relation", async () => {
    await using net = await openNet();
    const json = [OPTION.contentFormat, uint(50)] as const;
    await net.client.ask({ code: PUT, uri: "a", payload: "1", options: [json] });
    const etag = optionOf(await observe(net, "a"), OPTION.etag) ?? Buffer.alloc(0);
    const valid = await observe(net, "a", [[OPTION.etag, etag]]);
    expect(valid.code).toBe("2.03");
    expect(numberOf(valid, OPTION.observe)).toBeGreaterThan(0);
    const refused = await observe(net, "a", [[OPTION.accept, uint(41)]]);
    expect(refused.code).toBe("4.06");
    expect(optionOf(refused, OPTION.observe)).toBeUndefined();
    expect((await observe(net, "a", [[OPTION.ifMatch, Buffer.from("other")]])).code).toBe("4.12");
    expect((await observe(net, "a?qos=7")).code).toBe("4.00");
  });

  test("notifications come in the format that was accepted, with an event's as a state's", async () => {
    await using net = await openNet();
    const json = [OPTION.contentFormat, uint(50)] as const;
    await net.client.ask({ code: PUT, uri: "a", payload: "[1]", options: [json] });
    const first = await observe(net, "a", [[OPTION.accept, uint(60)]]);
    expect(first.payload).toEqual(Buffer.from("8101", "hex"));
    const next = await told(net, () =>
      net.client.ask({ code: POST, uri: "a", payload: "[2]", options: [json] }),
    );
    expect(numberOf(next, OPTION.contentFormat)).toBe(60);
    expect(next.payload).toEqual(Buffer.from("8102", "hex"));
  });

  test("RFC 7252 §5.4.1: Observe in a PUT is ignored", async () => {
    await using net = await openNet();
    const options = [[OPTION.observe, Buffer.alloc(0)]] as const;
    const answer = await net.client.ask({ code: PUT, uri: "a", payload: "1", options });
    expect(answer.code).toBe("2.01");
    expect(optionOf(answer, OPTION.observe)).toBeUndefined();
  });
});
