import type { CoapBridge, CoapCounts, SensorState } from "@nomq/coap-bridge";
import type { AttachmentState, Bridge, BridgeStatus } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type Health, type HealthSources, healthOf } from "../../src/api/health.ts";

const bridge = (name: string, state: BridgeStatus["state"] = "ready"): Bridge =>
  // Of a bridge its health needs no more.
  ({ name, status: () => ({ state, since: 1 }) }) as Bridge;

function attachment(name: string, stillSince?: number): AttachmentState {
  const counts = { accepted: 3, delivered: 0, expired: 0, dropped: {}, refused: 0, uncertain: 0, pending: 3 };
  const progress = { open: 1, ...(stillSince === undefined ? {} : { stillSince }) };
  return { name, as: "nomq:site", filters: ["#"], durable: true, state: "active", ledger: counts, progress };
}

const CLOCK = createFakeClock();
const NOW = CLOCK.now();

const healthWith = (sources: Partial<HealthSources>): Health =>
  healthOf({
    bridges: [bridge("nomq"), bridge("mqtt")],
    attachments: () => [],
    nomq: () => undefined,
    mqtt: () => undefined,
    coap: () => undefined,
    xmpp: () => undefined,
    storeProgress: () => ({ waiting: 0 }),
    isOpen: () => true,
    store: { isFull: false, isGone: false, damaged: 0 },
    clock: CLOCK,
    ...sources,
  });

describe("ready", () => {
  test("while the gateway starts there is no bridge that could say it is not ready: it is not, all the same", () => {
    expect(healthWith({ bridges: [], isOpen: () => false })).toMatchObject({ live: true, ready: false });
    expect(healthWith({ bridges: [] }).ready).toBe(true);
  });

  test.each([
    ["starting", false],
    ["closed", false],
    ["degraded", true],
    ["reconnecting", true],
  ] as const)("with a bridge that is %s: %s", (state, ready) => {
    expect(healthWith({ bridges: [bridge("nomq"), bridge("mqtt", state)] }).ready).toBe(ready);
  });
});

describe("progress", () => {
  test("a peer that is connected and has taken nothing for a minute makes its bridge degraded, and no other", () => {
    const health = healthWith({
      attachments: () => [attachment("nomq:pump", NOW - 60_000), attachment("mqtt:broker")],
    });
    expect(health.still).toEqual([
      { attachment: "nomq:pump", reason: "no-progress", since: NOW - 60_000, pending: 3 },
    ]);
    expect(health.bridges).toMatchObject({
      nomq: { state: "degraded", reason: expect.stringContaining("nomq:pump"), since: NOW - 60_000 },
      mqtt: { state: "ready" },
    });
    expect(health.ready).toBe(true);
  });

  test("less than a minute is no sign, and who is away is not connected", () => {
    const soon = healthWith({ attachments: () => [attachment("nomq:pump", NOW - 59_999)] });
    expect(soon).toMatchObject({ still: [], stillCount: 0, bridges: { nomq: { state: "ready" } } });
  });

  test("a bridge that is worse than degraded says so itself", () => {
    const attachments = (): AttachmentState[] => [attachment("nomq:pump", NOW - 100_000)];
    const { bridges } = healthWith({ bridges: [bridge("nomq", "reconnecting")], attachments });
    expect(bridges["nomq"]).toEqual({ state: "reconnecting", since: 1 });
  });
});

describe("store", () => {
  test.each([
    [{ store: undefined }, { state: "memory", damaged: 0, waiting: 0 }],
    [{}, { state: "ready", damaged: 0, waiting: 0 }],
    [{ store: { isFull: false, isGone: true, damaged: 0 } }, { state: "failing", damaged: 0, waiting: 0 }],
    [{ store: { isFull: true, isGone: false, damaged: 0 } }, { state: "full", damaged: 0, waiting: 0 }],
    [{ store: { isFull: false, isGone: false, damaged: 2 } }, { state: "ready", damaged: 2, waiting: 0 }],
    [
      { storeProgress: () => ({ waiting: 7, stillSince: NOW - 10_000 }) },
      { state: "failing", damaged: 0, waiting: 7, stillSince: NOW - 10_000 },
    ],
    [
      { storeProgress: () => ({ waiting: 7, stillSince: NOW - 9_999 }) },
      { state: "ready", damaged: 0, waiting: 7, stillSince: NOW - 9_999 },
    ],
  ] as [Partial<HealthSources>, object][])("%#: %j", (sources, store) => {
    expect(healthWith(sources).store).toEqual(store);
  });
});

describe("CoAP sensors", () => {
  const sensor = (name: string, state: SensorState["state"], since: number): SensorState => ({
    ...{ url: `coap://10.0.0.9/${name}`, channel: name, mode: "observed", state, since },
    ...(state === "fresh" ? {} : { reason: state === "waiting" ? "no answer yet" : "no answer" }),
  });
  const healthOfSensors = (...sensors: readonly SensorState[]): Health => {
    const states = { waiting: 0, fresh: 0, stale: 0, gone: 0 };
    for (const { state } of sensors) states[state] += 1;
    const coap = {
      ...bridge("coap"),
      sensors: () => sensors,
      // Of its counts no more is looked at.
      counts: () => ({ client: { sensors: states } }) as CoapCounts,
    } as CoapBridge;
    return healthWith({ bridges: [bridge("nomq"), coap], coap: () => coap });
  };

  test("one that is stale or gone degrades its bridge, which names the one for longest so", () => {
    const health = healthOfSensors(
      sensor("a", "fresh", 1),
      sensor("b", "waiting", 2),
      sensor("c", "gone", 9),
      sensor("d", "stale", 5),
    );
    expect(health.bridges["coap"]).toEqual({
      state: "degraded",
      reason: "the sensor coap://10.0.0.9/d is stale: no answer (and 1 more)",
      since: 5,
    });
    expect(health.bridges["nomq"]?.state).toBe("ready");
    expect(health.ready).toBe(true);
    expect(health.coap?.notFresh.map(({ channel }) => channel)).toEqual(["b", "d", "c"]);
  });

  test("those that are fresh, or have not answered yet, do not", () => {
    expect(healthOfSensors(sensor("a", "fresh", 1), sensor("b", "waiting", 2)).bridges["coap"]?.state).toBe(
      "ready",
    );
  });

  test("one that never answered, asked in vain, does", () => {
    const inVain = { ...sensor("b", "waiting", 2), reason: "no answer" };
    expect(healthOfSensors(inVain).bridges["coap"]?.state).toBe("degraded");
  });

  test("at most 100 are named", () => {
    const many = Array.from({ length: 300 }, (_, at) => sensor(`s${at}`, "stale", at));
    const health = healthOfSensors(...many);
    expect(health.coap?.notFresh).toHaveLength(100);
    expect(health.bridges["coap"]?.reason).toContain("(and 299 more)");
  });
});
