import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCoapEndpoint } from "../real/coap-endpoint.ts";
import { type CoapPlace, openBridgePlace, PLACES } from "../real/coap-places.ts";
import { longText } from "../real/coap-programs.ts";
import { OPTION, POST } from "../real/coap-wire.ts";
import { type NodeCoapClient, openNodeCoapClient, openNodeCoapServer } from "../real/node-coap.ts";

describe.each(PLACES)("node-coap's client at $name", ({ open }) => {
  let place: CoapPlace;
  let client: NodeCoapClient;
  beforeAll(async () => {
    place = await open();
    client = openNodeCoapClient(place.port);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  test.each([true, false])("PUT, GET and DELETE (confirmable: %s)", async (confirmable) => {
    const path = `node/${confirmable}`;
    const options = { "Content-Format": "application/json" };
    const put = await client.ask({ method: "PUT", path, body: '{"t":1}', confirmable, options });
    expect(put.code).toBe("2.01");
    const got = await client.ask({ path, confirmable });
    expect([got.code, got.body.toString(), got.options["Content-Format"]]).toEqual([
      ...["2.05", '{"t":1}', "application/json"],
    ]);
    expect(Number(got.options["Max-Age"])).toBeGreaterThan(0);
    expect((await client.ask({ method: "DELETE", path, confirmable })).code).toBe("2.02");
    expect((await client.ask({ path, confirmable })).code).toBe("4.04");
    const qos = confirmable ? 1 : 0;
    await expect
      .poll(() => place.seen.filter(({ channel }) => channel === path))
      .toMatchObject([
        { text: '{"t":1}', qos, contentType: "application/json" },
        { text: "", qos },
      ]);
  });

  test("5,000 bytes there and back", async () => {
    const body = longText(5_000);
    expect((await client.ask({ method: "PUT", path: "node/large", body })).code).toMatch(/^2\.0[14]$/);
    expect((await client.ask({ path: "node/large" })).body.toString()).toBe(body);
  });

  test("observes changes, in order, at QoS 0 and 1", async () => {
    for (const qos of [0, 1]) {
      const channel = `node/observed/${qos}`;
      await place.publish({ channel, text: "0", retain: true });
      const observing = await client.observe(`${channel}?qos=${qos}`);
      for (const value of ["1", "2", "3"]) {
        await place.publish({ channel, text: value, qos: 1, retain: true });
        await expect.poll(() => observing.bodies.at(-1)).toBe(value);
      }
      observing.close();
      expect(observing.bodies).toEqual(["0", "1", "2", "3"]);
    }
  });

  test("discovers channels", async () => {
    await place.publish({ channel: "node/listed", text: "1", retain: true });
    const { body, options } = await client.ask({ path: ".well-known/core?href=/node/listed" });
    expect(options["Content-Format"]).toBe("application/link-format");
    expect(body.toString()).toContain("</node/listed>");
  });
});

describe("an actuator", () => {
  /** Writes one message by `coap.send` and resolves once it is delivered. */
  async function write(port: number, text: string): Promise<void> {
    const url = `coap://127.0.0.1:${port}/act`;
    await using place = await openBridgePlace({ send: [{ name: "act", from: "act", url, method: "post" }] });
    await place.publish({ channel: "act", text, qos: 1 });
    await expect.poll(() => place.ledger("coap:send:act")).toMatchObject({ accepted: 1, delivered: 1 });
  }

  test.each([
    { etsi: "TD_COAP_CORE_18", option: OPTION.locationPath, values: ["location1", "location2", "location3"] },
    { etsi: "TD_COAP_CORE_19", option: OPTION.locationQuery, values: ["first=1", "second=2"] },
  ])("$etsi: a POST that is answered 2.01 with option $option is delivered", async ({ option, values }) => {
    await using actuator = await openCoapEndpoint();
    const options = values.map((value) => [option, Buffer.from(value)] as const);
    actuator.serve(() => ({ code: "2.01", options }));
    await write(actuator.port, "on");
    expect(actuator.received.map(({ code, payload }) => `${code} ${payload}`)).toEqual([`${POST} on`]);
  });

  test("TD_COAP_BLOCK_05: a POST in blocks whose answer comes in blocks too is delivered, once", async () => {
    const text = longText(5_000);
    const asked: string[] = [];
    await using actuator = await openNodeCoapServer(({ method, url, payload }, response) => {
      asked.push(`${method} ${url} ${payload}`);
      response.code = "2.04";
      response.end(longText(5_000, "answer"));
    });
    await write(actuator.port, text);
    expect(asked).toEqual([`POST /act ${text}`]);
  });
});
