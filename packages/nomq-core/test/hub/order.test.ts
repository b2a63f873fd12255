import { describe, expect, test } from "vitest";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

describe("lanes and the window", () => {
  test("one call per channel is open, whatever the window", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 4 }, "asks");
    await rig.attach(peer);
    for (const text of ["1", "2", "3"]) await rig.publish({ text });
    await rig.publish({ text: "other", channel: "c" });
    expect(peer.texts).toEqual(["1", "other"]);
    await peer.calls[0]?.answer();
    expect(peer.texts).toEqual(["1", "other", "2"]);
  });

  test("the window counts calls over all channels", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 2 }, "asks");
    await rig.attach(peer);
    for (const channel of ["a", "b", "c", "d"]) await rig.publish({ text: channel, channel });
    expect(peer.texts).toEqual(["a", "b"]);
    await peer.calls[1]?.answer();
    expect(peer.texts).toEqual(["a", "b", "c"]);
  });

  test("the highest priority at the head of a lane goes first, then the oldest", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "open", channel: "x" });
    await rig.publish({ text: "old", channel: "a" });
    await rig.publish({ text: "young", channel: "b" });
    await rig.publish({ text: "urgent", channel: "c", priority: 7 });
    await rig.publish({ text: "more urgent", channel: "d", priority: 15 });
    for (let at = 0; at < 4; at += 1) await lastCall(peer).answer();
    expect(peer.texts).toEqual(["open", "more urgent", "urgent", "old", "young"]);
  });

  test("inside a channel priority is ignored", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "1" });
    await rig.publish({ text: "2" });
    await rig.publish({ text: "3", priority: 15 });
    await lastCall(peer).answer();
    await lastCall(peer).answer();
    expect(peer.texts).toEqual(["1", "2", "3"]);
  });

  test("after retry a message keeps its place and its lane waits; other lanes go on", async () => {
    await using rig = await createRig();
    const peer = createRecorder({}, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "1", qos: 1 });
    await rig.publish({ text: "2", qos: 1 });
    await rig.publish({ text: "other", channel: "c" });
    await lastCall(peer).answer({ is: "retry", reason: "busy", afterMs: 500 });
    expect(peer.texts).toEqual(["1", "other"]);
    await lastCall(peer).answer();
    await rig.clock.advance(499);
    expect(peer.texts).toEqual(["1", "other"]);
    await rig.clock.advance(1);
    expect(peer.texts).toEqual(["1", "other", "1"]);
    expect(lastCall(peer).delivery.attempt).toBe(2);
  });

  test("a peer that always says retry at once is not asked in a hot loop", async () => {
    await using rig = await createRig();
    let calls = 0;
    const deliver = () => {
      calls += 1;
      return Promise.resolve({ is: "retry", reason: "no" } as const);
    };
    await rig.port.attach({ name: "no", as: "anonymous", filters: ["#"], durable: false, deliver });
    await rig.publish({ text: "1" });
    await settle(50);
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(30);
  });

  test("a rejected delivery counts as retry", async () => {
    await using rig = await createRig();
    let calls = 0;
    const deliver = () => {
      calls += 1;
      return calls === 1 ? Promise.reject(new Error("bug")) : Promise.resolve({ is: "delivered" } as const);
    };
    await rig.port.attach({ name: "p", as: "anonymous", filters: ["#"], durable: false, deliver });
    const receipt = await rig.publish({ text: "1" }, { until: "delivered" });
    expect(receipt.at).toBe("delivered");
    expect(calls).toBe(2);
  });

  test("a delivery that throws counts as retry", async () => {
    await using rig = await createRig();
    let calls = 0;
    const deliver = () => {
      calls += 1;
      if (calls === 1) throw new Error("bug");
      return Promise.resolve({ is: "delivered" } as const);
    };
    await rig.port.attach({ name: "p", as: "anonymous", filters: ["#"], durable: false, deliver });
    expect((await rig.publish({ text: "1" }, { until: "delivered" })).at).toBe("delivered");
  });
});

describe("ordered peers", () => {
  test("may have the window's calls of one lane open", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ ordered: true, window: 3 }, "asks");
    await rig.attach(peer);
    for (const text of ["1", "2", "3", "4"]) await rig.publish({ text, qos: 1 });
    expect(peer.texts).toEqual(["1", "2", "3"]);
    await peer.calls[0]?.answer();
    expect(peer.texts).toEqual(["1", "2", "3", "4"]);
  });

  test("after a retry nothing opens in the lane until all calls have answered, then it starts at the oldest", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ ordered: true, window: 3 }, "asks");
    const attachment = await rig.attach(peer);
    for (const text of ["1", "2", "3", "4"]) await rig.publish({ text, qos: 1 });
    attachment.pause("link down");
    const retry = { is: "retry", reason: "link down" } as const;
    await peer.calls[1]?.answer(retry);
    await peer.calls[0]?.answer(retry);
    attachment.resume();
    await settle();
    expect(peer.texts).toEqual(["1", "2", "3"]);
    await peer.calls[2]?.answer(retry);
    expect(peer.texts).toEqual(["1", "2", "3", "1", "2", "3"]);
    expect(peer.calls.map((call) => call.delivery.attempt)).toEqual([1, 1, 1, 2, 2, 2]);
  });

  test("a change repeated after a newer one was taken is followed by the value that holds", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ window: 4, ordered: true, retained: "deliver" }, "asks");
    await rig.attach(peer);
    await rig.publish({ text: "old", qos: 1, retain: true });
    await rig.publish({ text: "new", retain: true });
    expect(peer.texts).toEqual(["old", "new"]);
    await peer.calls[1]?.answer();
    await peer.calls[0]?.answer({ is: "retry", reason: "connection lost" });
    await lastCall(peer).answer();
    await lastCall(peer).answer();
    expect(peer.texts).toEqual(["old", "new", "old", "new"]);
    expect(lastCall(peer).delivery.cause).toBe("repair");
  });

  test("QoS 2 keeps its order in the lane while attempts are committed", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ ordered: true, window: 5, durable: true }, "well");
    await rig.attach(peer);
    await Promise.all(
      [2, 1, 2, 0, 1, 2].map((qos, at) =>
        rig.publish({ text: `${at}`, qos: qos as 0 | 1 | 2 }, { until: "delivered" }),
      ),
    );
    expect(peer.texts.filter((text) => text !== "3")).toEqual(["0", "1", "2", "4", "5"]);
  });
});

describe("yielding", () => {
  test("a burst of deliveries lets other callbacks of the event loop run", async () => {
    await using rig = await createRig();
    for (let at = 0; at < 5_000; at += 1) await rig.publish({ channel: `c/${at}`, text: "v", retain: true });
    let turns = 0;
    let delivered = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await new Promise<void>((resolve) => {
      const deliver = () => {
        delivered += 1;
        // Some work: 5,000 of these are far more than 5 ms.
        for (let at = 0; at < 2_000; at += 1) Math.sqrt(at);
        if (delivered === 5_000) resolve();
        return Promise.resolve({ is: "delivered" } as const);
      };
      void rig.port.attach({
        name: "burst",
        as: "anonymous",
        filters: ["#"],
        durable: false,
        retained: "deliver",
        deliver,
      });
    });
    isOver = true;
    expect(turns).toBeGreaterThan(2);
  });

  test("a publisher in a loop of promises does not starve deliveries", async () => {
    await using rig = await createRig();
    const peer = createRecorder({ outbox: { messages: 100_000 } });
    await rig.attach(peer);
    for (let at = 0; at < 20_000; at += 1) await rig.publish({ channel: `c/${at % 7}`, text: "v" });
    await settle(100);
    expect(peer.calls.length).toBe(20_000);
  });
});
