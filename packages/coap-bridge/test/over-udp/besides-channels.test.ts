import { describe, expect, test } from "vitest";
import { longText } from "../../../../test/real/coap-programs.ts";
import { GET, numberOf, OPTION, PUT, uint } from "../../../../test/real/coap-wire.ts";
import type { CoapBridgeOptions } from "../../src/index.ts";

import { get, put, running } from "./running.ts";

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
