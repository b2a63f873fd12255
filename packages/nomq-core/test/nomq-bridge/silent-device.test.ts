import { expect, test } from "vitest";
import type { NomqDeviceOptions } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, text } from "../node/node-room.ts";
import { type BridgeRoom, deviceAt, GATEWAY, openBridge } from "./bridge-room.ts";

const DEVICES = 20;
const SILENT = 7;
const ROUNDS = 12;

/** What one device is sent: when, and what it makes of it. */
type Sent = readonly (readonly [at: number, text: string | undefined])[];

interface Run {
  readonly sent: readonly Sent[];
  readonly room: BridgeRoom;
}

/** Twelve messages to each of twenty devices, at QoS 0, 1 and 2; `isThere` says whether one of them answers. */
async function run(isThere: boolean): Promise<Run> {
  const places = Array.from({ length: DEVICES }, (_, at) => deviceAt(9_100 + at));
  const devices = places.map(
    ({ address }, at): NomqDeviceOptions => ({ name: `d${at}`, address, subscribe: ["all", `own/${at}`] }),
  );
  const world = createWorld({
    drop: (_, from, to) => !isThere && isSilent(from.port, to.port),
    // The hub works its share of a real turn and goes on in the next: no time passes before it is done.
    rest: () => settle(60),
  });
  const room = await openBridge({ world, devices });
  const begun = world.clock.now();
  const boards = places.map(({ at }, which) =>
    room.device({ transport: world.network.open(at), channels: ["all", `own/${which}`], paced: true }),
  );
  for (const board of boards) await board.publish({ channel: "hello", message: "x" }, GATEWAY);
  await world.clock.advance(1_000);
  const port = room.hub.port("other");
  for (let round = 0; round < ROUNDS; round += 1) {
    const qos = round % 3 === 0 ? 0 : round % 3 === 1 ? 1 : 2;
    await port.publish({ channel: "all", payload: text(`all ${round}`), qos }, "*");
    const own = `own/${(SILENT + round) % DEVICES}`;
    await port.publish({ channel: own, payload: text(`own ${round}`), qos: 1 }, "*");
    await world.clock.advance(1_500);
  }
  await world.clock.advance(120_000);
  // The fake clock adds up fractions: what is less than a millisecond is no difference.
  const sent = boards.map((board) =>
    board.received.map(({ at, delivered }) => [Math.round(at - begun), delivered?.text] as const),
  );
  return { sent, room };
}

const isSilent = (from: number, to: number): boolean => from === 9_100 + SILENT || to === 9_100 + SILENT;

/** Less than this is the order of channels, which is nobody's promise; a silent device is tried again after 10 s. */
const SHIFT_MS = 5_000;

/** The messages of one device, channel by channel, each with when it came first. */
function lanes(sent: Sent): ReadonlyMap<string, readonly [said: string, at: number][]> {
  const found = new Map<string, [string, number][]>();
  for (const [at, said] of sent) {
    if (said === undefined) continue;
    const [channel = ""] = said.split(" ");
    const lane = found.get(channel) ?? [];
    if (!lane.some(([before]) => before === said)) lane.push([said, at]);
    found.set(channel, lane);
  }
  return found;
}

test("19 devices are sent the same, in the same order and time, whether the 20th answers or has vanished", async () => {
  const well = await run(true);
  const one = await run(false);
  let compared = 0;
  for (const [which, sent] of well.sent.entries()) {
    if (which === SILENT) continue;
    const meanwhile = lanes(one.sent[which] ?? []);
    for (const [channel, lane] of lanes(sent)) {
      const other = meanwhile.get(channel) ?? [];
      expect(other.map(([said]) => said)).toEqual(lane.map(([said]) => said));
      for (const [at, [, came]] of lane.entries())
        expect(Math.abs((other[at]?.[1] ?? 0) - came)).toBeLessThan(SHIFT_MS);
      compared += lane.length;
    }
  }
  expect(compared).toBe(ROUNDS * (DEVICES - 1) + ROUNDS - 1);
  const rows = one.room.hub.attachments().filter(({ name }) => name.startsWith("nomq:d"));
  const stuck = rows.filter(({ ledger }) => ledger.pending > 0);
  expect(stuck.map(({ name }) => name)).toEqual([`nomq:d${SILENT}`]);
  expect(stuck[0]?.progress).toMatchObject({ stillSince: expect.any(Number) });
  expect(one.room.bridge.counts().devices).toEqual({ online: DEVICES - 1, offline: 1 });
  // Four calls are open at most: what it may hold of the tables that all share.
  expect(stuck[0]?.progress.open).toBeLessThanOrEqual(4);
  await well.room.stop();
  await one.room.stop();
});
