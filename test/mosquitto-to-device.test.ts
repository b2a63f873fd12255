import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { type ShownReceipt, streamMessages } from "./real/control.ts";
import { type Gateway, launchGateway } from "./real/gateway.ts";
import { type ModelDevice, openModelDevice } from "./real/model-device.ts";
import { publish } from "./real/mosquitto.ts";
import { ACK, PUBCOMP, PUBLISH, PUBREC, PUBREL } from "./real/seal.ts";
import { vectorKey } from "./real/vectors.ts";

interface Bench extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly device: ModelDevice;
}

async function setUp(): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await openModelDevice(vectorKey, ["cmd/pump"]));
  const pump = { name: "pump-7", address: device.address, key: "site", subscribe: ["cmd/#"] };
  const gateway = stack.use(await launchGateway({ nomq: { devices: [pump] } }));
  const kept = stack.move();
  return { gateway, device, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Publishes with Debian's client, and follows the receipt until the device's outcome is final. */
async function publishAndFollow(
  { gateway }: Bench,
  more: readonly string[],
): Promise<ShownReceipt["outcomes"]> {
  const stream = await streamMessages(gateway.control, "cmd/#");
  try {
    await publish(gateway.mqtt, "cmd/pump", "on", more);
    const { id } = await stream.next();
    for (;;) {
      // The API's own shape.
      const { outcomes } = (await gateway.ask(`/api/v1/receipts/${id}`)) as ShownReceipt;
      const ours = outcomes.filter(({ attachment }) => attachment === "nomq:pump-7");
      if (ours.length > 0 && ours.every(({ is }) => is !== "pending")) return ours;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    stream.close();
  }
}

const typesOf = ({ received }: ModelDevice): readonly number[] => received.map(({ type }) => type);
const publishesTo = ({ received }: ModelDevice) => received.filter(({ type }) => type === PUBLISH);

describeWithPeers("mosquitto_pub to a v1 device, over real UDP", ["mosquitto-clients"], () => {
  test("-q 0 reaches the device", async () => {
    await using bench = await setUp();
    expect(await publishAndFollow(bench, ["-q", "0"])).toMatchObject([{ is: "delivered" }]);
    await expect.poll(() => bench.device.delivered).toEqual(["cmd/pump on"]);
  });

  test("-q 1: the device accepts the datagram and its ACK ends the pending state", async () => {
    await using bench = await setUp();
    expect(await publishAndFollow(bench, ["-q", "1"])).toMatchObject([{ is: "delivered" }]);
    expect(bench.device.delivered).toEqual(["cmd/pump on"]);
  });

  test("-q 2: PUBREC, PUBREL and PUBCOMP end it, delivered once", async () => {
    await using bench = await setUp();
    expect(await publishAndFollow(bench, ["-q", "2"])).toMatchObject([{ is: "delivered" }]);
    expect(bench.device.delivered).toEqual(["cmd/pump on"]);
    await expect.poll(() => typesOf(bench.device)).toContain(PUBREL);
  });

  // These wait for the gateway's own retransmissions: side by side, for each has a gateway of its own.
  test.concurrent("-q 2 without the PUBCOMP is delivered all the same: a device answers PUBREL once", async () => {
    await using bench = await setUp();
    bench.device.loseReplies(PUBCOMP);
    expect(await publishAndFollow(bench, ["-q", "2"])).toMatchObject([{ is: "delivered" }]);
    expect(bench.device.delivered).toEqual(["cmd/pump on"]);
  });

  test.concurrent("-q 2 with every PUBREC lost ends `uncertain`, and the device never gets it twice", async () => {
    await using bench = await setUp();
    bench.device.loseReplies(PUBREC);
    expect(await publishAndFollow(bench, ["-q", "2"])).toMatchObject([{ is: "uncertain" }]);
    expect(bench.device.delivered).toEqual(["cmd/pump on"]);
  });

  test.concurrent("-q 1 with every ACK lost is tried again with a fresh nonce until its time to live ends", async () => {
    await using bench = await setUp();
    bench.device.loseReplies(ACK);
    const expiry = ["-V", "mqttv5", "-D", "publish", "message-expiry-interval", "12"];
    expect(await publishAndFollow(bench, ["-q", "1", ...expiry])).toMatchObject([{ is: "expired" }]);
    const accepted = publishesTo(bench.device);
    expect(accepted.length).toBeGreaterThan(1);
    expect(new Set(accepted.map(({ nonce }) => nonce)).size).toBe(accepted.length);
    expect(accepted.every(({ ttl }) => ttl <= 12)).toBe(true);
  });
});
