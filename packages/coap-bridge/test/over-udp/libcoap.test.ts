import { expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { coapClient, coapObserve, longText } from "../../../../test/real/coap-programs.ts";

import { put, running } from "./running.ts";

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
