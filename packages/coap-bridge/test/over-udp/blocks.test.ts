import { type Clock, createHub, type Hub, systemClock } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type CoapEndpoint, openCoapEndpoint } from "../../../../test/real/coap-endpoint.ts";
import { coapClient, coapObserve, longText } from "../../../../test/real/coap-programs.ts";
import {
  blockOf,
  blockValue,
  GET,
  numberOf,
  OPTION,
  optionOf,
  POST,
  PUT,
  uint,
} from "../../../../test/real/coap-wire.ts";
import { type CoapBridgeOptions, createCoapBridge } from "../../src/index.ts";

interface Running extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: number;
  client(): Promise<CoapEndpoint>;
}

async function running(options: CoapBridgeOptions = {}, clock: Clock = systemClock): Promise<Running> {
  const hub = createHub({ clock });
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

const block = (number: number, num: number, more: boolean, size: number): [number, Buffer] => [
  number,
  blockValue({ num, more, size }),
];

/** Sends a body in blocks, each with a token of its own; the codes of the answers. */
async function put(
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
async function get(client: CoapEndpoint, uri: string, { size, from = 0 }: { size: number; from?: number }) {
  let body = "";
  const etags = new Set<string>();
  for (let num = from; ; num += 1) {
    const answer = await client.ask({ code: GET, uri, options: [block(OPTION.block2, num, false, size)] });
    body += answer.payload;
    etags.add(optionOf(answer, OPTION.etag)?.toString("hex") ?? answer.code);
    if (blockOf(answer, OPTION.block2)?.more !== true) return { body, etags: [...etags] };
  }
}

describe("RFC 7959 over UDP, datagram by datagram", () => {
  test("TD_COAP_BLOCK_03, TD_COAP_BLOCK_01: a body goes up and comes back in blocks of any size", async () => {
    await using server = await running();
    const client = await server.client();
    const body = longText(1500);
    for (const size of [16, 64, 256, 1024]) {
      const codes = await put(client, "big", { body, size });
      expect([codes.at(-1), new Set(codes.slice(0, -1))]).toEqual([
        size === 16 ? "2.01" : "2.04",
        new Set(["2.31"]),
      ]);
      const fetched = await get(client, "big", { size });
      expect([fetched.body === body, fetched.etags.length]).toEqual([true, 1]);
    }
  });

  test("RFC 7959 §2.4: a value that changes meanwhile is fetched to its end by whoever began it", async () => {
    await using server = await running();
    const [reader, writer] = [await server.client(), await server.client()];
    const [old, young] = [longText(3000, "a"), longText(3000, "b")];
    await put(writer, "big", { body: old, size: 1024 });
    const first = await reader.ask({ code: GET, uri: "big" });
    expect([blockOf(first, OPTION.block2), numberOf(first, OPTION.size2)]).toEqual([
      { num: 0, more: true, size: 1024 },
      3000,
    ]);
    await put(writer, "big", { body: young, size: 1024 });
    const rest = await get(reader, "big", { size: 1024, from: 1 });
    expect(first.payload.toString() + rest.body === old).toBe(true);
    const anew = await get(reader, "big", { size: 256 });
    expect([anew.body === young, anew.etags[0] === rest.etags[0]]).toEqual([true, false]);
  });

  test("RFC 7959 §3.4: a large notification carries Observe and its first block; the rest is that version's", async () => {
    // Time stands still: nothing is said again, so what came before stays the newest until it is acknowledged.
    await using server = await running({}, createFakeClock());
    const [observer, writer] = [await server.client(), await server.client()];
    await put(writer, "big", { body: "small", size: 1024 });
    const registered = await observer.ask({ code: GET, uri: "big", options: [[OPTION.observe, uint(0)]] });
    expect(numberOf(registered, OPTION.observe)).toBeDefined();
    observer.acknowledges = false;
    const body = longText(2500);
    await put(writer, "big", { body, size: 512 });
    const told = await observer.next((packet) => packet.payload.length === 1024);
    expect(told.token).toEqual(registered.token);
    expect(blockOf(told, OPTION.block2)).toEqual({ num: 0, more: true, size: 1024 });
    expect(numberOf(told, OPTION.observe)).toBeGreaterThan(numberOf(registered, OPTION.observe) ?? 0);
    await put(writer, "big", { body: longText(2500, "newer"), size: 512 });
    const rest = await get(observer, "big", { size: 1024, from: 1 });
    expect(told.payload.toString() + rest.body === body).toBe(true);
    expect(rest.etags).toEqual([optionOf(told, OPTION.etag)?.toString("hex")]);
  });

  test("a value that expires meanwhile is not fetched to its end", async () => {
    const clock = createFakeClock();
    await using server = await running({}, clock);
    const client = await server.client();
    await put(client, "big?ttl=30", { body: longText(3000), size: 1024 });
    const first = await client.ask({ code: GET, uri: "big" });
    expect([first.code, numberOf(first, OPTION.maxAge)]).toEqual(["2.05", 30]);
    await clock.advance(20_000);
    const second = await client.ask({
      code: GET,
      uri: "big",
      options: [block(OPTION.block2, 1, false, 1024)],
    });
    expect([second.code, numberOf(second, OPTION.maxAge)]).toEqual(["2.05", 10]);
    await clock.advance(10_000);
    const third = await client.ask({
      code: GET,
      uri: "big",
      options: [block(OPTION.block2, 2, false, 1024)],
    });
    expect(third.code).toBe("4.04");
  });

  test("block 1048575, 1 GiB announced and size 7 are refused at once, and nothing is published", async () => {
    await using server = await running();
    const client = await server.client();
    const far = {
      code: PUT,
      uri: "big",
      options: [block(OPTION.block1, 1_048_575, true, 1024)],
      payload: longText(1024),
    };
    const huge = {
      ...far,
      options: [block(OPTION.block1, 0, true, 1024), [OPTION.size1, uint(2 ** 30)] as const],
    };
    const reserved = { ...far, options: [[OPTION.block1, Buffer.of(0x0f)] as const] };
    const answers = [await client.ask(far), await client.ask(huge), await client.ask(reserved)];
    expect(answers.map(({ code }) => code)).toEqual(["4.08", "4.13", "4.00"]);
    expect(answers.map((answer) => numberOf(answer, OPTION.size1))).toEqual([
      undefined,
      1_048_576,
      undefined,
    ]);
    expect((await client.ask({ code: GET, uri: "big" })).code).toBe("4.04");
  });

  test("RFC 7252 §4.5: a block that comes again as the same message is answered with the same bytes", async () => {
    await using server = await running();
    const client = await server.client();
    const last = {
      code: POST,
      uri: "big",
      messageId: 77,
      token: Buffer.from("t"),
      options: [block(OPTION.block1, 1, false, 16)],
      payload: "end",
    };
    await client.ask({
      code: POST,
      uri: "big",
      options: [block(OPTION.block1, 0, true, 16)],
      payload: "0123456789abcdef",
    });
    const answers = [await client.ask(last), await client.ask(last)];
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]?.code).toBe("2.04");
  });
});

describe("what is there besides channels", () => {
  const resources: CoapBridgeOptions["resources"] = [
    {
      path: "admin/echo",
      attributes: { rt: "example.echo" },
      handle: (request, response, { principal }) => {
        response.setOption("Content-Format", "text/plain");
        response.end(`${request.method} ${principal} ${request.payload}`);
      },
    },
  ];

  test("TD_COAP_LINK_01: /.well-known/core in link-format, by blocks of 64 bytes", async () => {
    await using server = await running({ resources });
    const client = await server.client();
    for (const name of ["site/temp", "site/hum"])
      await client.ask({ code: PUT, uri: name, payload: "1", options: [[OPTION.contentFormat, uint(0)]] });
    const { body, etags } = await get(client, ".well-known/core", { size: 64 });
    expect(etags.length).toBe(1);
    expect(body.split(",").map((link) => link.split(";")[0])).toEqual([
      "</.well-known/nomq>",
      "</admin/echo>",
      "</site/temp>",
      "</site/hum>",
    ]);
    const found = await client.ask({ code: GET, uri: ".well-known/core?href=/site/t*&ct=0" });
    expect([found.code, numberOf(found, OPTION.contentFormat)]).toEqual(["2.05", 40]);
    expect(found.payload.toString()).toMatch(/^<\/site\/temp>;rt="nomq.channel";if="core.p";obs;ct="?0/);
  });

  test("a resource of a program takes bodies in blocks, in node-coap's style", async () => {
    await using server = await running({ resources });
    const client = await server.client();
    const body = longText(2000);
    expect((await put(client, "admin/echo", { body, size: 256 })).at(-1)).toBe("2.05");
    const answer = await client.ask({ code: PUT, uri: "admin/echo", payload: "hi" });
    expect(answer.payload.toString()).toBe("PUT addr:127.0.0.1 hi");
    expect((await client.ask({ code: GET, uri: "admin/none/of/it" })).code).toBe("4.04");
  });

  test("/.well-known/nomq tells product, version and health", async () => {
    await using server = await running();
    const client = await server.client();
    const about = await client.ask({ code: GET, uri: ".well-known/nomq" });
    expect(JSON.parse(about.payload.toString())).toMatchObject({
      product: "@nomq/coap-bridge",
      bridge: { state: "ready" },
    });
    const again = await client.ask({
      code: GET,
      uri: ".well-known/nomq",
      options: [[OPTION.accept, uint(41)]],
    });
    expect(again.code).toBe("4.06");
  });
});

describeWithPeers("blocks and discovery with Debian's libcoap", ["libcoap3-bin"], () => {
  const body = longText(5000);

  test.each([64, 256, 1024])("5,000 bytes go up and come back by -b %i", async (size) => {
    await using server = await running();
    const more = ["-b", String(size)];
    expect((await coapClient(server.port, "big", { method: "put", body, more })).code).toBe("2.01");
    expect((await coapClient(server.port, "big", { more })).body.toString() === body).toBe(true);
  });

  test("TD_COAP_BLOCK_02: without -b, in blocks of 1,024 bytes", async () => {
    await using server = await running();
    await coapClient(server.port, "big", { method: "put", body });
    expect((await coapClient(server.port, "big")).body.toString() === body).toBe(true);
  });

  test("discovery in blocks of 16 bytes, with a filter", async () => {
    await using server = await running();
    await coapClient(server.port, "site/temp", { method: "put", body: "21" });
    const found = await coapClient(server.port, ".well-known/core?rt=nomq.channel", { more: ["-b", "16"] });
    expect(found.body.toString()).toContain('</site/temp>;rt="nomq.channel"');
  });

  test("TD_COAP_OBS_13: an observer gets large values whole", async () => {
    await using server = await running();
    const client = await server.client();
    await put(client, "big", { body: longText(3000, "a"), size: 1024 });
    await using observer = coapObserve(server.port, "big", {});
    const isWhole = () =>
      observer.bodies().map((body) => [longText(3000, "a"), longText(4000, "b")].indexOf(body));
    await expect.poll(isWhole).toEqual([0]);
    await put(client, "big", { body: longText(4000, "b"), size: 1024 });
    await expect.poll(isWhole).toEqual([0, 1]);
  });
});
