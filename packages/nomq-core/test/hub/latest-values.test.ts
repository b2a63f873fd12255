import { describe, expect, test } from "vitest";
import { LatestValues } from "../../src/hub/latest-values.ts";
import { createHub, createMemoryStore, type Message } from "../../src/index.ts";
import { createFakeClock } from "../../src/testing/index.ts";

const message = (channel: string, seq: number, bytes = 1): Message => ({
  ...{ id: `${seq}`, seq, channel, payload: new Uint8Array(bytes), qos: 1, retain: true, priority: 0 },
  ...{ publishedAt: 0, origin: "test" },
});

describe("values in memory", () => {
  test("a change that lands while the store is read is newer than what it answers", () => {
    const values = new LatestValues();
    const reading = values.reading("a");
    expect(values.get("a")).toBeUndefined();
    values.landed(message("a", 2));
    values.learned("a", reading, message("a", 1));
    expect(values.get("a")).toMatchObject({ seq: 2 });
  });

  test("an answer that comes after its channel had to go is not taken for that of the next reading", () => {
    const values = new LatestValues();
    const first = values.reading("a");
    for (let other = 0; other < 10_000; other += 1) values.reading(`other ${other}`);
    values.landed(message("a", 2));
    const second = values.reading("a");
    values.learned("a", first, message("a", 1));
    expect(values.get("a")).toBeUndefined();
    values.learned("a", second, message("a", 2));
    expect(values.get("a")).toMatchObject({ seq: 2 });
  });

  test("one that fails is asked again; two at once keep one answer", () => {
    const values = new LatestValues();
    const reading = values.reading("a");
    expect(values.reading("a")).toBeUndefined();
    values.failed("a", reading);
    const again = values.reading("a");
    expect(again).not.toBe(reading);
    values.learned("a", again, undefined);
    expect(values.get("a")).toBe("none");
  });

  test("large values and long names are not kept; many small ones go, the oldest first", () => {
    const values = new LatestValues();
    const keep = (channel: string, bytes: number): void =>
      values.learned(channel, values.reading(channel), message(channel, 1, bytes));
    keep("large", 65_536);
    keep("n".repeat(40_000), 1);
    expect([values.get("large"), values.get("n".repeat(40_000))]).toEqual([undefined, undefined]);
    for (let at = 0; at < 400; at += 1) keep(`c${at}`, 60_000);
    expect(values.get("c0")).toBeUndefined();
    expect(values.get("c399")).toMatchObject({ channel: "c399" });
  });
});

describe("latestNow", () => {
  test("says what latest says once it was asked, through changes, clearing and expiry", async () => {
    const clock = createFakeClock();
    await using hub = createHub({ clock, store: createMemoryStore({ clock }) });
    await hub.start();
    const port = hub.port("test");
    const put = (text: string, ttlMs?: number) =>
      port.publish(
        { channel: "a", payload: Buffer.from(text), qos: 1, retain: true, ...(ttlMs && { ttlMs }) },
        "*",
      );
    const now = (): string | undefined => {
      const value = port.latestNow("a", "*");
      return typeof value === "object" ? Buffer.from(value.payload).toString() : value;
    };
    expect(now()).toBeUndefined();
    expect(await port.latest("a", "*")).toBeUndefined();
    expect(now()).toBe("none");
    const published = put("1");
    expect(now(), "a change waits for its commit").toBeUndefined();
    await published;
    expect(now()).toBe("1");
    await put("");
    expect(now()).toBe("none");
    await put("2", 1_000);
    expect(now()).toBe("2");
    await clock.advance(1_001);
    expect(now()).toBe("none");
  });

  test("is nothing to who may not see it", async () => {
    const access = { may: (who: string) => who === "user:ann" };
    await using hub = createHub({ access });
    await hub.start();
    const port = hub.port("test");
    await port.publish({ channel: "a", payload: Buffer.from("1"), qos: 1, retain: true }, "user:ann");
    await port.latest("a", "user:ann");
    expect([port.latestNow("a", "user:ann"), port.latestNow("a", "anonymous")]).toMatchObject([
      { channel: "a" },
      "none",
    ]);
  });
});
