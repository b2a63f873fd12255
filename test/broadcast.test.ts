import { expect, test } from "vitest";
import { canUnshareNetwork, describeWithPeers } from "./peers.ts";
import { askControl, type ShownReceipt, streamMessages } from "./real/control.ts";
import { launchGateway } from "./real/gateway.ts";
import { openModelDevice } from "./real/model-device.ts";
import { runInNamespace } from "./real/namespace.ts";
import { randomId, unixSeconds } from "./real/seal.ts";
import { openDevice } from "./real/udp-device.ts";
import { vectorKey } from "./real/vectors.ts";

const EPOCH_2000 = -946_684_800;
const groupNetwork = new URL("real/group-network.ts", import.meta.url).pathname;

test("one board's message reaches every board, of either epoch, by broadcast (section 10.8)", async () => {
  await using stack = new AsyncDisposableStack();
  const channels = ["site/alarm"];
  const first = stack.use(await openModelDevice(vectorKey, channels, { sharedPort: 0 }));
  const offsetSeconds = EPOCH_2000;
  const second = stack.use(
    await openModelDevice(vectorKey, channels, { sharedPort: first.port, offsetSeconds }),
  );
  const address = `127.255.255.255:${first.port}`;
  const nomq = { listen: ["udp://0.0.0.0:0"], broadcast: [address], broadcastFilters: ["site/#"], channels };
  const gateway = stack.use(await launchGateway({ nomq }));
  const stream = await streamMessages(gateway.control, "#");
  stack.defer(() => stream.close());

  const sender = stack.use(await openDevice(vectorKey, gateway.nomqPort));
  const sessionId = randomId();
  await sender.send({
    channel: "site/alarm",
    message: "fire",
    flags: 1,
    sessionId,
    timestamp: unixSeconds(),
  });
  await sender.next(({ type }) => type === 3);

  await expect.poll(() => first.delivered).toEqual(["site/alarm fire"]);
  await expect.poll(() => second.delivered).toEqual(["site/alarm fire"]);
  const { id } = await stream.next();
  const outcome = async (): Promise<unknown> => {
    // The documented shape of a receipt.
    const receipt = (await askControl(gateway.control, `/api/v1/receipts/${id}`)) as ShownReceipt;
    return receipt.outcomes.find(({ attachment }) => attachment === `nomq:broadcast:${address}`);
  };
  await expect.poll(outcome).toMatchObject({ is: "uncertain", reason: "a broadcast is not acknowledged" });
});

describeWithPeers("on a network of its own", ["iproute2", "util-linux"], () => {
  test.skipIf(!process.env["CI"] && !canUnshareNetwork())(
    "multicast, link-local addresses, broadcasts from a dual-stack socket, and an address that goes and comes back",
    async () => {
      expect(JSON.parse(await runInNamespace(groupNetwork))).toEqual({
        multicast: { texts: ["to the group", "to all nodes"], from: "fe80::1%x0", broadcast: true },
        linkLocal: { outcome: "delivered", texts: ["direct"], peer: "fe80::1%x0" },
        dualStack: { device: ["to boards"], own: 2 },
        limited: { device: ["to boards", "to everybody"] },
        reopened: {
          told: ["its address is gone", "listen-failed", "open"],
          text: "back again",
        },
      });
    },
  );
});
