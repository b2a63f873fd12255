import type { Delivery, Message, Peer, Port } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { createActuator } from "../../src/client/actuator.ts";
import { clientSettings } from "../../src/client/client-options.ts";
import { createClientTallies } from "../../src/client/counters.ts";
import { writeEnd } from "../../src/client/write-outcome.ts";
import { Response } from "../../src/wire/code.ts";

/** The peer that an actuator attaches, with nothing to reach behind it. */
async function actuator(): Promise<Peer> {
  const { actuators } = clientSettings({ send: [{ name: "v", from: "v", url: "coap://10.0.0.9/v" }] });
  const [settings] = actuators;
  const attached: Peer[] = [];
  const nothing = { pause: () => undefined, resume: () => undefined };
  // Of a port an actuator uses `attach` alone, of an attachment `pause` and `resume`.
  const port = {
    async attach(peer: Peer) {
      attached.push(peer);
      return nothing;
    },
  } as unknown as Port;
  if (settings === undefined) throw new Error("no settings");
  const made = createActuator(settings, createClientTallies());
  await made.attach(port);
  const wire = { clock: createFakeClock(), random: () => 0.5 };
  // No address is found, so nothing else of the parts is used.
  made.begin({ wire, lookup: { find: async () => undefined }, told: () => undefined } as never);
  const [peer] = attached;
  if (peer === undefined) throw new Error("not attached");
  return peer;
}

const message = (id: string, qos: 0 | 1 | 2): Message => ({
  ...{ id, seq: 1, channel: "v", payload: Buffer.from("x"), qos, retain: false, priority: 0 },
  ...{ publishedAt: 0, origin: "test" },
});
const delivery = (attempt: number): Delivery => ({
  ...{ attempt, cause: "live", signal: new AbortController().signal },
});

test("a QoS 2 message that an earlier run may have written is not written again", async () => {
  const peer = await actuator();
  expect(await peer.deliver(message("a", 2), delivery(2))).toMatchObject({ is: "uncertain" });
  expect(await peer.deliver(message("a", 1), delivery(2))).toMatchObject({ is: "retry" });
});

test("one that has certainly not left is", async () => {
  const peer = await actuator();
  for (let attempt = 1; attempt < 4; attempt += 1) {
    expect(await peer.deliver(message("a", 2), delivery(attempt))).toMatchObject({ is: "retry" });
  }
});

test("pauses grow to a minute, and a Max-Age is obeyed for an hour at most", () => {
  const after = (attempt: number): number | undefined => {
    const { outcome } = writeEnd({ is: "silent" }, { qos: 1, attempt, cleared: false });
    return outcome.is === "retry" ? outcome.afterMs : undefined;
  };
  expect([1, 2, 3, 7, 100].map(after)).toEqual([1_000, 2_000, 4_000, 60_000, 60_000]);
  const options = [{ number: 14, value: Uint8Array.of(255, 255, 255, 255) }];
  const busy = {
    is: "answered",
    code: Response.serviceUnavailable,
    options,
    payload: new Uint8Array(),
  } as const;
  expect(writeEnd(busy, { qos: 1, attempt: 1, cleared: false }).outcome).toMatchObject({
    afterMs: 3_600_000,
  });
});
