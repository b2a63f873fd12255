import { describe, expect, test } from "vitest";
import type { Access, Principal } from "../../src/index.ts";
import { extentOf } from "../../src/index.ts";
import { createRecorder, createRig, lastCall, settle } from "./hub-rig.ts";

/** Rules that a test changes: the channels that nobody may read. */
function createAccess(): Access & { readonly denied: Set<string>; changed(): void } {
  const denied = new Set<string>();
  const listeners = new Set<() => void>();
  return {
    denied,
    may: (_who, action, channel) => action === "publish" || !denied.has(channel),
    onChange(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    changed() {
      for (const changed of listeners) changed();
    },
  };
}

describe("a right withdrawn", () => {
  test("ends what waits for a peer at once, as refused: access; what is still allowed goes on", async () => {
    const access = createAccess();
    await using rig = await createRig({ access });
    const peer = createRecorder({ durable: true }, "asks");
    const attachment = await rig.attach(peer);
    await rig.publish({ channel: "open", qos: 1 });
    const gone = await rig.publish({ channel: "secret", qos: 1 });
    const kept = await rig.publish({ channel: "plain", qos: 1 });
    access.denied.add("secret");
    access.changed();
    await settle(20);
    expect((await rig.port.receipt(gone.id))?.outcomes).toMatchObject([{ is: "refused", reason: "access" }]);
    expect((await rig.port.receipt(kept.id))?.outcomes).toMatchObject([{ is: "pending" }]);
    await lastCall(peer).answer();
    await settle(20);
    expect(peer.calls.map(({ message }) => message.channel)).toEqual(["open", "plain"]);
    expect(attachment.ledger()).toMatchObject({ refused: 1 });
  });

  test("aborts the open call of what is withdrawn, which is then refused: access and not tried again", async () => {
    const access = createAccess();
    await using rig = await createRig({ access });
    const peer = createRecorder({ window: 2 }, "asks");
    await rig.attach(peer);
    const gone = await rig.publish({ channel: "secret", qos: 1 });
    await rig.publish({ channel: "open", qos: 1 });
    access.denied.add("secret");
    access.changed();
    await settle(5);
    const [secret, open] = peer.calls;
    expect([secret?.delivery.signal.aborted, open?.delivery.signal.aborted]).toEqual([true, false]);
    await secret?.answer({ is: "retry", reason: "aborted", afterMs: 10_000 });
    expect((await rig.port.receipt(gone.id))?.outcomes).toMatchObject([{ is: "refused", reason: "access" }]);
    expect(peer.calls).toHaveLength(2);
    await open?.answer();
  });

  test("reaches what waits for a peer that is away, and nothing is routed there afterwards", async () => {
    const access = createAccess();
    await using rig = await createRig({ access });
    const away = await rig.attach(createRecorder({ durable: true }, "asks"));
    await away[Symbol.asyncDispose]();
    await rig.publish({ channel: "secret", qos: 1 });
    access.denied.add("secret");
    access.changed();
    await settle(20);
    expect((await rig.publish({ channel: "secret", qos: 1 })).outcomes).toEqual([]);
    const back = createRecorder({ durable: true });
    await rig.attach(back);
    await settle(20);
    expect(back.calls).toEqual([]);
  });

  test("counts for the principal only: `*`, which asks for others itself, gets everything", async () => {
    await using rig = await createRig({ access: { may: (_who, action) => action === "publish" } });
    const broker = createRecorder({ as: "*" });
    await rig.attach(broker);
    await rig.publish({ channel: "a" });
    await settle(5);
    expect(broker.calls).toHaveLength(1);
  });
});

test("a filter reaches something unless it names one channel that is denied", () => {
  const access: Access = { may: (_who, _action, channel) => channel === "a" };
  const who: Principal = "user:ann";
  const extent = (filter: string) => extentOf(access, { who, action: "subscribe", filter });
  expect(["a", "b", "b/+", "#"].map(extent)).toEqual(["all", "none", "some", "some"]);
});

describe("a part of the program itself, `*`", () => {
  test("may read and write what the rules give nobody: it asks for each of those it stands for", async () => {
    const nothing: Access = { may: () => false };
    await using rig = await createRig({ access: nothing });
    const { port } = rig;
    const draft = { channel: "a", payload: Buffer.from("x"), qos: 1, retain: true } as const;
    expect((await port.publish(draft, "user:ann")).reason).toBe("access");
    expect((await port.publish(draft, "*")).at).not.toBe("refused");
    expect((await port.latest("a", "*"))?.payload).toEqual(Buffer.from("x"));
    expect(await port.latest("a", "user:ann")).toBeUndefined();
    const kept: Record<string, string[]> = { "*": [], "user:ann": [] };
    for (const who of ["*", "user:ann"] as const)
      for await (const { channel } of port.retained(["#"], who)) kept[who]?.push(channel);
    expect(kept).toEqual({ "*": ["a"], "user:ann": [] });
    expect([port.may("*", "publish", "b"), port.extent("*", "subscribe", "#")]).toEqual([true, "all"]);
    expect([port.may("user:ann", "publish", "b"), port.extent("user:ann", "subscribe", "b")]).toEqual([
      false,
      "none",
    ]);
  });
});
