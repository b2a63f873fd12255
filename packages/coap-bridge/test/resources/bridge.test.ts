import { createHub, createMemoryStore, type NomqError } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { openCoapEndpoint } from "../../../../test/real/coap-endpoint.ts";
import { GET, numberOf, OPTION, optionOf, POST, PUT, uint } from "../../../../test/real/coap-wire.ts";
import { type CoapBridgeOptions, createCoapBridge } from "../../src/index.ts";

const portOf = (addresses: readonly string[], at = 0): number => Number(addresses[at]?.split(":").at(-1));

describe("options", () => {
  const refusal = (options: CoapBridgeOptions): string => {
    try {
      createCoapBridge(options);
      return "taken";
    } catch (error) {
      // What createCoapBridge throws is documented to be one.
      return (error as NomqError).message;
    }
  };

  test.each([
    [{ listen: ["coap://example.org:5683"] }, "config-invalid: coap.listen[0]"],
    [{ listen: ["coap://127.0.0.1:0", "127.0.0.1"] }, "config-invalid: coap.listen[1]"],
    [{ listen: ["coaps://127.0.0.1"] }, "not-available-yet: coap.listen[0]"],
    [{ listen: ["coap+tcp://127.0.0.1"] }, "not-available-yet: coap.listen[0]"],
    [{ listen: [{ url: "coap://127.0.0.1", maxPayload: 0 }] }, "config-invalid: coap.listen[0].maxPayload"],
    [
      { listen: [{ url: "coap://127.0.0.1", anonymous: ["nonsense"] }] },
      "config-invalid: coap.listen[0].anonymous",
    ],
    [
      { observe: [{ url: "coap://127.0.0.1/a", channel: "$SYS" }] },
      "config-invalid: coap.observe[0].channel",
    ],
  ])("%j is refused, with the place", (options, said) => {
    expect(refusal(options)).toContain(said);
  });

  test("start before a hub has it says what to do", async () => {
    await using bridge = createCoapBridge({ listen: ["coap://127.0.0.1:0"] });
    await expect(bridge.start()).rejects.toThrow("hub.add()");
  });
});

describe("listeners", () => {
  test("each has its own rule of who may come", async () => {
    await using hub = createHub();
    const bridge = createCoapBridge({
      listen: [{ url: "coap://127.0.0.1:0", anonymous: "none" }, "coap://127.0.0.1:0"],
    });
    hub.add(bridge);
    await hub.start();
    await using closed = await openCoapEndpoint(portOf(bridge.addresses(), 0));
    await using open = await openCoapEndpoint(portOf(bridge.addresses(), 1));
    expect((await closed.ask({ code: PUT, uri: "a", payload: "1" })).code).toBe("4.01");
    expect((await open.ask({ code: PUT, uri: "a", payload: "1" })).code).toBe("2.01");
    expect(bridge.counts().clientsRefused).toEqual({ anonymous: 1 });
  });

  test("IPv6 and IPv4 at one", async () => {
    await using hub = createHub();
    const bridge = createCoapBridge({ listen: ["coap://[::]:0"] });
    hub.add(bridge);
    await hub.start();
    await using client = await openCoapEndpoint(portOf(bridge.addresses()));
    expect((await client.ask({ code: PUT, uri: "a", payload: "1" })).code).toBe("2.01");
  });
});

describe("what CoAP does not carry", () => {
  test("is counted once for a message, however many observers are told of it", async () => {
    await using hub = createHub();
    const bridge = createCoapBridge({ listen: ["coap://127.0.0.1:0"] });
    hub.add(bridge);
    await hub.start();
    await using client = await openCoapEndpoint(portOf(bridge.addresses()));
    await client.ask({ code: POST, uri: "a", payload: "known" });
    for (const token of ["1", "2"]) {
      await client.ask({
        code: GET,
        uri: "a",
        token: Buffer.from(token),
        options: [[OPTION.observe, uint(0)]],
      });
    }
    const draft = {
      channel: "a",
      payload: Buffer.from("news"),
      priority: 3,
      contentType: "application/x-own",
    };
    await hub.port("mqtt").publish({ ...draft, properties: [["a", "b"]] }, "*");
    for (const token of ["1", "2"]) {
      const told = await client.next(
        (packet) => packet.token.toString() === token && packet.payload.toString() === "news",
      );
      expect(optionOf(told, OPTION.contentFormat)).toBeUndefined();
      expect(numberOf(told, OPTION.maxAge)).toBe(60);
    }
    const lost = (property: string) => ({ from: "mqtt", to: "coap", property, count: 1 });
    expect(bridge.counts().lost).toEqual(
      expect.arrayContaining([lost("priority"), lost("properties"), lost("content-type")]),
    );
    expect(bridge.counts().lost.length).toBe(3);
  });
});

describe("over a restart", () => {
  test("values, their ETags and what `?id=` named are still there", async () => {
    const store = createMemoryStore();
    const run = async (work: (client: Awaited<ReturnType<typeof openCoapEndpoint>>) => Promise<void>) => {
      await using hub = createHub({ store });
      const bridge = createCoapBridge({ listen: ["coap://127.0.0.1:0"] });
      hub.add(bridge);
      await hub.start();
      await using client = await openCoapEndpoint(portOf(bridge.addresses()));
      await work(client);
    };
    let etag: Buffer | undefined;
    await run(async (client) => {
      await client.ask({ code: PUT, uri: "a?id=first", payload: "1" });
      etag = optionOf(await client.ask({ code: GET, uri: "a" }), OPTION.etag);
    });
    await run(async (client) => {
      expect((await client.ask({ code: PUT, uri: "a?id=first", payload: "again" })).code).toBe("2.04");
      const read = await client.ask({ code: GET, uri: "a" });
      expect(read.payload.toString()).toBe("1");
      expect(optionOf(read, OPTION.etag)).toEqual(etag);
    });
  });
});
