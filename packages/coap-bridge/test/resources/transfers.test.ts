import { createHub, createMemoryStore } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createTransfers } from "../../src/resources/transfers.ts";
import { requestOf } from "./serve-harness.ts";

const from = { host: "127.0.0.1", port: 1, key: "udp 127.0.0.1 1", via: "udp", proven: true };
const named = (messageId: number) => ({ ...requestOf("put", { path: "a", messageId }), from });
const wanted = { qos: 2, id: undefined, channel: "a" } as const;

describe("names of transfers", () => {
  test("of QoS 0 and 1 there are none: each copy that the message layer lets through is a message", async () => {
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    const transfers = createTransfers(hub.port("coap"), createFakeClock());
    expect(transfers.nameOf(named(1), { ...wanted, qos: 1 })).toBeUndefined();
    expect(transfers.nameOf(named(1), { ...wanted, qos: 1, id: "x" })?.name).toBe("coap/id/x/a");
    transfers.close();
  });

  test("`?id=` with slashes names nothing on another channel", async () => {
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    const transfers = createTransfers(hub.port("coap"), createFakeClock());
    const nameOf = (id: string, channel: string) => transfers.nameOf(named(1), { qos: 1, id, channel })?.name;
    expect(nameOf("42/alarm", "x")).not.toBe(nameOf("42", "alarm/x"));
    expect(nameOf("a%2Fb", "c")).not.toBe(nameOf("a/b", "c"));
    transfers.close();
  });

  test("`?id=` of a PUT is not that of a DELETE or POST: each would be acknowledged, and nothing done", async () => {
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    const transfers = createTransfers(hub.port("coap"), createFakeClock());
    const names = (["put", "post", "delete", "put"] as const).map((method) => {
      const request = { ...requestOf(method, { path: "a" }), from };
      return transfers.nameOf(request, { qos: 1, id: "1", channel: "a" })?.name;
    });
    expect(new Set(names).size).toBe(3);
    expect(names[3]).toBe(names[0]);
    transfers.close();
  });

  test("of long channels are short, and still their own: the hub keeps 100,000 of them for a day", async () => {
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    const transfers = createTransfers(hub.port("coap"), createFakeClock());
    const nameOf = (channel: string) => transfers.nameOf(named(1), { qos: 1, id: "1", channel })?.name;
    const [one, other] = [nameOf(`${"x".repeat(60_000)}a`), nameOf(`${"x".repeat(60_000)}b`)];
    expect(one).not.toBe(other);
    expect(one?.length).toBeLessThan(512);
    transfers.close();
  });

  test("another body under the same message id is another transfer", async () => {
    await using hub = createHub({ clock: createFakeClock() });
    await hub.start();
    const transfers = createTransfers(hub.port("coap"), createFakeClock());
    const one = transfers.nameOf({ ...named(7), fingerprint: 1 }, wanted)?.name;
    expect(transfers.nameOf({ ...named(7), fingerprint: 2 }, wanted)?.name).not.toBe(one);
    expect(transfers.nameOf({ ...named(7), fingerprint: 1 }, wanted)?.name).toBe(one);
    transfers.close();
  });

  test("those of an earlier run live their time again, and then leave nothing behind", async () => {
    const store = createMemoryStore();
    const clock = createFakeClock();
    const publish = async (again: boolean) => {
      await using hub = createHub({ store, clock });
      await hub.start();
      const port = hub.port("coap");
      const transfers = createTransfers(port, clock);
      await transfers.restore();
      const transfer = transfers.nameOf(named(7), wanted);
      if (transfer === undefined) throw new Error("no name");
      const { name: once, state } = transfer;
      const draft = { channel: "a", payload: Buffer.from("1"), qos: 2 } as const;
      const receipt = await port.publish(draft, "*", { once, state });
      if (receipt.repeated !== true) transfers.begun(transfer, true);
      expect(receipt.repeated === true).toBe(again);
      const left = async (): Promise<number> => {
        let count = 0;
        for await (const _ of port.state()) count += 1;
        return count;
      };
      expect(await left()).toBe(1);
      if (again) await clock.advance(249_000);
      if (again) expect(await left()).toBe(0);
      if (again) expect((await port.publish(draft, "*", { once, state })).repeated).toBeUndefined();
      transfers.close();
    };
    await publish(false);
    await publish(true);
  });
});
