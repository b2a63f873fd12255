import { expect, test } from "vitest";
import { createRecorder, createRig } from "./hub-rig.ts";

test("a channel of 65,535 bytes is a channel, and a few hundred as long are refused", async () => {
  await using rig = await createRig();
  const long = (at: number): string => "x".repeat(65_530) + String(at).padStart(5, "0");
  const peer = createRecorder({ filters: ["#"] });
  await rig.attach(peer);
  const first = await rig.publish({ channel: long(0) });
  expect([first.at, peer.calls.length]).toEqual(["stored", 1]);
  for (let at = 1; at < 64; at += 1) await rig.publish({ channel: long(at) });
  expect(await rig.publish({ channel: long(64) })).toMatchObject({
    at: "refused",
    reason: "long-names-full",
  });
  // Those in use go on, and so does every shorter one.
  expect((await rig.publish({ channel: long(0) })).at).toBe("stored");
  expect((await rig.publish({ channel: "y".repeat(16_383) })).at).toBe("stored");
  const other = createRecorder({ name: "other", filters: [long(65)] });
  await expect(rig.attach(other)).rejects.toMatchObject({ code: "filter-invalid" });
});
