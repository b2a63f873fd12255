import { settle } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { createLane, type LaneCall } from "../../src/publishing/lane.ts";

test("requests leave in the order of their calls, whatever each has to wait for", async () => {
  const lane = createLane(() => undefined);
  const issued: number[] = [];
  const slow = Promise.withResolvers<void>();
  void lane.call(async () => {
    await slow.promise;
    issued.push(1);
  });
  void lane.call(() => {
    issued.push(2);
    return undefined;
  });
  await settle();
  expect(issued).toEqual([]);
  slow.resolve();
  await settle();
  expect(issued).toEqual([1, 2]);
});

test("what is ready leaves in the very turn of its call", () => {
  const issued: number[] = [];
  const lane = createLane(() => undefined);
  void lane.call(() => {
    issued.push(1);
    return undefined;
  });
  expect(issued).toEqual([1]);
});

test("a failure answers all that is open, and what is called before that has been heard", async () => {
  let rested = 0;
  const lane = createLane(() => {
    rested += 1;
  });
  const calls: LaneCall[] = [];
  const keep = (call: LaneCall): undefined => {
    calls.push(call);
    return undefined;
  };
  const first = lane.call(keep);
  const second = lane.call(keep);
  calls[1]?.settle({ is: "delivered" });
  lane.fail("gone", 500);
  const third = lane.call(keep);
  expect(await first).toEqual({ is: "retry", reason: "gone", afterMs: 500 });
  expect(await second).toEqual({ is: "delivered" });
  expect(await third).toEqual({ is: "retry", reason: "gone", afterMs: 500 });
  expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  await settle();
  expect(rested).toBe(1);
  expect(lane.isIdle).toBe(true);
});

test("after a failure was heard calls go out again", async () => {
  const lane = createLane(() => undefined);
  lane.fail("gone");
  await settle();
  const outcome = lane.call((call) => {
    call.settle({ is: "delivered" });
    return undefined;
  });
  expect(await outcome).toEqual({ is: "delivered" });
});
