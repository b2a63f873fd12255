import { expect, test } from "vitest";
import type { SessionEntry } from "../../src/index.ts";
import { text } from "../node/node-room.ts";
import { GATEWAY, openBridge, publish, pump, pumpDevice } from "./bridge-room.ts";

test("the session log tells of a device that comes, begins sessions, falls silent and is refused", async () => {
  const recorded: SessionEntry[] = [];
  const denied = { may: (_who: string, _action: string, channel: string) => channel !== "secret" };
  const room = await openBridge({
    devices: [pumpDevice],
    bridge: { channels: ["other", "secret"] },
    hub: { sessionLog: { record: (entry) => void recorded.push(entry) }, access: denied },
  });
  const device = room.device({ transport: room.world.network.open(pump.at), paced: true });
  await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
  await room.world.clock.advance(1_000);
  const who = "nomq:site";
  const of = { peer: "pump-7", address: pump.address, kind: "device", known: true };
  expect(recorded).toEqual([
    { who, what: "session.begun", details: of },
    { who, what: "peer.online", details: { ...of, reason: "heard" } },
  ]);
  recorded.length = 0;
  await device.publish({ channel: "secret", message: "x" }, GATEWAY);
  await room.world.clock.advance(1_000);
  expect(recorded).toEqual([
    { who, what: "publish.refused", details: { peer: "pump-7", channel: "secret", reason: "access" } },
  ]);
  recorded.length = 0;
  device.cut.add("ACK").add("HEARTBEAT");
  await publish(room, { payload: text("go") });
  await room.world.clock.advance(120_000);
  expect(recorded).toEqual([{ who, what: "peer.offline", details: { ...of, reason: "silent" } }]);
  await room.stop();
});
