import { describe, expect, test } from "vitest";
import type { CoapEndpoint } from "../../../../test/real/coap-endpoint.ts";
import {
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
import { type NodeCoapClient, openNodeCoapClient } from "../../../../test/real/node-coap.ts";
import { running } from "./running.ts";

interface Net extends AsyncDisposable {
  /** Writes and reads datagrams by a codec of the tests' own. */
  readonly raw: CoapEndpoint;
  readonly nodeCoap: NodeCoapClient;
}

async function openNet(): Promise<Net> {
  const bridge = await running();
  const raw = await bridge.client();
  const nodeCoap = openNodeCoapClient(bridge.port);
  return {
    ...{ raw, nodeCoap },
    async [Symbol.asyncDispose]() {
      await nodeCoap[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
}

const text = ({ payload }: CoapPacket): string => payload.toString();
const texts = ({ options }: CoapPacket, number: number): readonly string[] =>
  options.flatMap(([each, value]) => (each === number ? [value.toString()] : []));

describe.each([
  ["CON", "ACK"],
  ["NON", "NON"],
] as const)("%s requests", (type, answerType) => {
  const number = (con: string, non: string): string => `TD_COAP_CORE_${type === "CON" ? con : non}`;

  test(`GET, PUT, POST, DELETE: ${["01", "02", "03", "04"].map((con, at) => number(con, `0${at + 5}`)).join(", ")}`, async () => {
    await using net = await openNet();
    const ask = (code: string, payload = "") => net.raw.ask({ type, code, uri: "test", payload });
    const created = await ask(PUT, "one");
    expect(created).toMatchObject({ code: "2.01", type: answerType });
    expect(await ask(PUT, "two")).toMatchObject({ code: "2.04", type: answerType });
    const read = await ask(GET);
    expect(read).toMatchObject({ code: "2.05", type: answerType });
    expect(text(read)).toBe("two");
    expect(await ask(POST, "three")).toMatchObject({ code: "2.04", type: answerType });
    expect(text(await ask(GET))).toBe("two");
    expect(await ask(DELETE)).toMatchObject({ code: "2.02", type: answerType });
    expect(await ask(GET)).toMatchObject({ code: "4.04", type: answerType });
  });

  test(`the same by node-coap's client: ${["01", "02", "03", "04"].map((con, at) => number(con, `0${at + 5}`)).join(", ")}`, async () => {
    await using net = await openNet();
    const confirmable = type === "CON";
    const ask = async (method: "GET" | "PUT" | "POST" | "DELETE", body?: string) => {
      const answer = await net.nodeCoap.ask({
        ...{ method, path: "test", confirmable },
        ...(body === undefined ? {} : { body }),
      });
      return `${answer.code} ${answer.body}`.trimEnd();
    };
    expect(await ask("PUT", "one")).toBe("2.01");
    expect(await ask("POST", "event")).toBe("2.04");
    expect(await ask("GET")).toBe("2.05 one");
    expect(await ask("DELETE")).toBe("2.02");
    expect(await ask("GET")).toMatch(/^4\.04/);
  });
});

describe("requests and their options", () => {
  test("an empty token comes back empty (TD_COAP_CORE_12)", async () => {
    await using net = await openNet();
    const asked = net.raw.send({ code: GET, uri: "test", token: Buffer.alloc(0) });
    const answer = await net.raw.next(({ messageId }) => messageId === asked.messageId);
    expect(answer).toMatchObject({ code: "4.04", type: "ACK" });
    expect(answer.token.length).toBe(0);
  });

  test("several Uri-Path options (TD_COAP_CORE_13)", async () => {
    await using net = await openNet();
    await net.raw.ask({ code: PUT, uri: "seg1/seg2/seg3", payload: "deep" });
    expect(text(await net.raw.ask({ code: GET, uri: "seg1/seg2/seg3" }))).toBe("deep");
    expect((await net.nodeCoap.ask({ path: "seg1/seg2/seg3" })).body.toString()).toBe("deep");
    expect((await net.raw.ask({ code: GET, uri: "seg1/seg2" })).code).toBe("4.04");
  });

  test("several Uri-Query options (TD_COAP_CORE_14)", async () => {
    await using net = await openNet();
    await net.raw.ask({ code: PUT, uri: "query?qos=1&ttl=30", payload: "asked" });
    const answer = await net.raw.ask({ code: GET, uri: "query?first=1&second=2&third=3" });
    expect(answer.code).toBe("2.05");
    expect(numberOf(answer, OPTION.maxAge)).toBeGreaterThan(25);
    expect((await net.nodeCoap.ask({ path: "query?first=1&second=2" })).code).toBe("2.05");
  });

  test("several Location-Path and Location-Query options (TD_COAP_CORE_18, TD_COAP_CORE_19)", async () => {
    await using net = await openNet();
    const uri = "location1/location2/location3?retain=true&qos=2&priority=1";
    const answer = await net.raw.ask({ code: POST, uri, payload: "made" });
    expect(answer.code).toBe("2.01");
    expect(texts(answer, OPTION.locationPath)).toEqual(["location1", "location2", "location3"]);
    expect(texts(answer, OPTION.locationQuery)).toEqual(["qos=2", "priority=1"]);
    const at = `${texts(answer, OPTION.locationPath).join("/")}?${texts(answer, OPTION.locationQuery).join("&")}`;
    expect(text(await net.raw.ask({ code: GET, uri: at }))).toBe("made");
  });

  test("Accept: one of several formats, or 4.06 (TD_COAP_CORE_20)", async () => {
    await using net = await openNet();
    const options = [[OPTION.contentFormat, uint(50)]] as const;
    await net.raw.ask({ code: PUT, uri: "multi-format", payload: '{"a":1}', options });
    const accepting = (format: number) =>
      net.raw.ask({ code: GET, uri: "multi-format", options: [[OPTION.accept, uint(format)]] });
    for (const [format, payload] of [
      [0, Buffer.from('{"a":1}')],
      [50, Buffer.from('{"a":1}')],
      [60, Buffer.from("a1616101", "hex")],
    ] as const) {
      const answer = await accepting(format);
      expect(answer.code).toBe("2.05");
      expect(numberOf(answer, OPTION.contentFormat)).toBe(format);
      expect(answer.payload).toEqual(payload);
    }
    expect((await accepting(41)).code).toBe("4.06");
    const theirs = await net.nodeCoap.ask({ path: "multi-format", options: { Accept: "application/cbor" } });
    expect(theirs.options["Content-Format"]).toBe("application/cbor");
    expect(theirs.body).toEqual(Buffer.from("a1616101", "hex"));
  });

  test("ETag: 2.03 while it holds, 2.05 with another after a change (TD_COAP_CORE_21)", async () => {
    await using net = await openNet();
    await net.raw.ask({ code: PUT, uri: "validate", payload: "one" });
    const first = await net.raw.ask({ code: GET, uri: "validate" });
    const etag = optionOf(first, OPTION.etag) ?? Buffer.alloc(0);
    const again = () => net.raw.ask({ code: GET, uri: "validate", options: [[OPTION.etag, etag]] });
    const valid = await again();
    expect(valid.code).toBe("2.03");
    expect(optionOf(valid, OPTION.etag)).toEqual(etag);
    expect(valid.payload.length).toBe(0);
    await net.raw.ask({ code: PUT, uri: "validate", payload: "two" });
    const changed = await again();
    expect(changed.code).toBe("2.05");
    expect(optionOf(changed, OPTION.etag)).not.toEqual(etag);
  });

  test("If-Match: done while it holds, 4.12 and nothing done after a change (TD_COAP_CORE_22)", async () => {
    await using net = await openNet();
    await net.raw.ask({ code: PUT, uri: "validate", payload: "one" });
    const etag = optionOf(await net.raw.ask({ code: GET, uri: "validate" }), OPTION.etag) ?? Buffer.alloc(0);
    const put = (payload: string) =>
      net.raw.ask({ code: PUT, uri: "validate", payload, options: [[OPTION.ifMatch, etag]] });
    expect((await put("two")).code).toBe("2.04");
    expect((await put("three")).code).toBe("4.12");
    expect(text(await net.raw.ask({ code: GET, uri: "validate" }))).toBe("two");
  });

  test("If-None-Match: made once, 4.12 after it (TD_COAP_CORE_23)", async () => {
    await using net = await openNet();
    const put = (payload: string) =>
      net.raw.ask({ code: PUT, uri: "create1", payload, options: [[OPTION.ifNoneMatch, Buffer.alloc(0)]] });
    expect((await put("one")).code).toBe("2.01");
    expect((await put("two")).code).toBe("4.12");
    expect(text(await net.raw.ask({ code: GET, uri: "create1" }))).toBe("one");
  });

  test("a copy of a PUT is answered with the same bytes and done once", async () => {
    await using net = await openNet();
    const draft = { code: PUT, uri: "once", payload: "1", messageId: 4_711, token: Buffer.from("t") };
    const isAnswer = ({ messageId }: CoapPacket): boolean => messageId === draft.messageId;
    net.raw.send(draft);
    await net.raw.next(isAnswer);
    net.raw.send(draft);
    await net.raw.ask({ code: GET, uri: "once" });
    const answers = net.raw.received.filter(isAnswer);
    expect(answers.length).toBe(2);
    expect(answers[1]).toEqual({ ...answers[0], code: "2.01" });
  });
});
