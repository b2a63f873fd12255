import { describe, expect, test } from "vitest";
import { OptionNumber } from "../../src/wire/coap-message.ts";
import { serveHub } from "./serve-harness.ts";

const { ifMatch } = OptionNumber;

describe("refusals", () => {
  test("who is not admitted gets 4.01, whatever it asks, and nothing is done", async () => {
    await using served = await serveHub();
    for (const method of ["get", "put", "post", "delete"] as const) {
      const told = await served.ask(method, { path: "a", payload: "1", from: "192.0.2.7" });
      expect(told).toMatchObject({ code: "4.01", text: "" });
    }
    expect(served.counters.read().clientsRefused).toEqual({ anonymous: 4 });
    expect(await served.port.latest("a", "anonymous")).toBeUndefined();
  });

  test("who has no right gets 4.03, on every method, with or without a value", async () => {
    const access = {
      may: (who: string, action: string, channel: string) =>
        who === "*" || (who === "addr:127.0.0.1" ? channel.startsWith(`${action}/`) : false),
    };
    await using served = await serveHub({ access });
    expect((await served.ask("put", { path: "publish/a", payload: "1" })).code).toBe("2.01");
    expect((await served.ask("get", { path: "publish/a" })).code).toBe("4.03");
    expect((await served.ask("get", { path: "publish/never" })).code).toBe("4.03");
    expect((await served.ask("get", { path: "subscribe/a" })).code).toBe("4.04");
    for (const method of ["put", "post", "delete"] as const) {
      expect((await served.ask(method, { path: "subscribe/a", payload: "1" })).code).toBe("4.03");
      const conditional = { path: "subscribe/a", payload: "1", options: [[ifMatch, ""]] as const };
      expect((await served.ask(method, conditional)).code).toBe("4.03");
    }
    expect(served.counters.read()).toMatchObject({
      readsRefused: { access: 2 },
      messagesRefused: { access: 6 },
    });
  });

  test("a body above maxPayload is 4.13 with Size1, the largest that is taken", async () => {
    await using served = await serveHub({ listener: { maxPayload: 10 } });
    const told = await served.ask("put", { path: "a", payload: "12345678901" });
    expect(told.code).toBe("4.13");
    expect(told.options).toContainEqual({ number: OptionNumber.size1, value: Uint8Array.of(10) });
    expect((await served.ask("put", { path: "a", payload: "1234567890" })).code).toBe("2.01");
  });

  test("a store that does not take it is 5.03 with Max-Age, and says no more", async () => {
    await using served = await serveHub();
    served.store.fail();
    const told = await served.ask("put", { path: "a", payload: "1" });
    expect(told.code).toBe("5.03");
    expect(told.maxAge).toBeGreaterThan(0);
    expect(served.told).toEqual([]);
    expect(served.counters.read().messagesRefused).toEqual({ "store-failed": 1 });
  });

  test("what nobody foresaw is 5.00 and says nothing, is counted and logged", async () => {
    await using served = await serveHub();
    await served.hub[Symbol.asyncDispose]();
    const plain = await served.ask("get", { path: "a" });
    const accepting = await served.ask("get", { path: "a", options: [[OptionNumber.accept, 50]] });
    const conditional = { path: "a", payload: "1", options: [[ifMatch, ""]] as const };
    const written = await served.ask("put", conditional);
    for (const told of [plain, accepting, written]) expect(told).toMatchObject({ code: "5.00", text: "" });
    expect(served.counters.read().failures).toEqual({ unforeseen: 3 });
  });

  test("a full receiver is 5.03, and its name is not said", async () => {
    await using served = await serveHub();
    await served.port.attach({
      ...{ name: "secret-peer", as: "*", filters: ["#"], durable: true },
      outbox: { messages: 1, whenFull: "refuse" },
      deliver: () => new Promise(() => undefined),
    });
    await served.ask("post", { path: "a", payload: "1" });
    const told = await served.ask("post", { path: "a", payload: "2" });
    expect(told).toMatchObject({ code: "5.03", text: "a receiver is full" });
    expect(served.counters.read().messagesRefused).toEqual({ "outbox-full": 1 });
  });
});

describe("acknowledgement", () => {
  const slowReader = (served: Awaited<ReturnType<typeof serveHub>>) => {
    const gate = Promise.withResolvers<{ is: "delivered" }>();
    const attached = served.port.attach({
      ...{ name: "reader", as: "*", filters: ["#"], durable: true },
      deliver: () => gate.promise,
    });
    return { attached, answer: () => gate.resolve({ is: "delivered" }) };
  };
  const watch = (asked: Promise<{ code: string }>): { code: string } => {
    const seen = { code: "open" };
    void asked.then(({ code }) => {
      seen.code = code;
    });
    return seen;
  };

  test("by default waits for the store", async () => {
    await using served = await serveHub();
    served.store.hang();
    const seen = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(60_000);
    expect(seen.code).toBe("open");
    served.store.heal();
    await served.clock.advance(10);
    expect(seen.code).toBe("2.01");
  });

  test("`accepted` does not wait with an event, and does with a state: a GET must see what was acknowledged", async () => {
    await using served = await serveHub({ listener: { ack: "accepted" } });
    served.store.hang();
    const event = watch(served.ask("post", { path: "a", payload: "1" }));
    const state = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(10);
    expect([event.code, state.code]).toEqual(["2.04", "open"]);
    served.store.heal();
  });

  test("`delivered` waits for every receiver, and says 5.04 when its time is over", async () => {
    await using served = await serveHub({ listener: { ack: "delivered", ackTimeout: 3_000 } });
    const reader = slowReader(served);
    await reader.attached;
    const late = watch(served.ask("put", { path: "a", payload: "1" }));
    await served.clock.advance(2_900);
    expect(late.code).toBe("open");
    await served.clock.advance(200);
    expect(late.code).toBe("5.04");
    const intime = watch(served.ask("put", { path: "b", payload: "1" }));
    await served.clock.advance(10);
    expect(intime.code).toBe("open");
    reader.answer();
    await served.clock.advance(10);
    expect(intime.code).toBe("2.01");
    expect((await served.ask("put", { path: "c", payload: "1", type: "non" })).code).toBe("2.01");
  });

  test("`delivered` with nobody there is answered at once", async () => {
    await using served = await serveHub({ listener: { ack: "delivered" } });
    expect((await served.ask("put", { path: "a", payload: "1" })).code).toBe("2.01");
  });
});
