import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openUdpTransport } from "@nomq/core";
import { expect, test } from "vitest";
import { type GroupKey, randomId, seal, unixSeconds } from "../../../test/real/seal.ts";
import { createControlClient } from "../src/control/control-client.ts";
import { type LaunchedGateway, launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

const keyIn = (folder: TestFolder): GroupKey => {
  const key = JSON.parse(readFileSync(join(folder.path, "data/keys/site.json"), "utf8"));
  return { encryption: Buffer.from(key.encryption, "hex"), mac: Buffer.from(key.mac, "hex") };
};

const endpoint = (gateway: LaunchedGateway) => ({ host: "127.0.0.1", port: gateway.port("nomq") });

test("after kill -9 a NoMQ transfer sent again is answered and routed to nobody, and what the gateway sent is known as its own", async () => {
  using folder = testFolder();
  await using socket = await openUdpTransport({ host: "127.0.0.1", port: 0 });
  const answers: Uint8Array[] = [];
  socket.onDatagram((datagram) => void answers.push(datagram));
  await using device = await openUdpTransport({ host: "127.0.0.1", port: 0 });
  const sent: Uint8Array[] = [];
  device.onDatagram((datagram) => void sent.push(datagram));
  const at = `127.0.0.1:${device.local.port}`;
  const config = `nomq: { listen: ['udp://127.0.0.1:0'], channels: [a, end], devices: [{ name: valve, address: '${at}', subscribe: ['cmd/#'] }] }\n`;
  const transfers = [1, 2].map((flags) => ({
    ...{ channel: "a", message: `once at QoS ${flags}`, flags },
    ...{ packetId: randomId(), sessionId: randomId() },
  }));
  {
    await using gateway = await launchGateway({ folder, config });
    for (const transfer of transfers)
      await socket.send(seal(keyIn(folder), { ...transfer, timestamp: unixSeconds() }), endpoint(gateway));
    await nomq(["pub", "cmd/valve", "open", "--qos", "1", "--socket", gateway.controlSocket]).ended;
    await expect.poll(() => [answers.length, sent.length > 0]).toEqual([2, true]);
    gateway.signal("SIGKILL");
    await gateway.ended;
  }
  const [own = new Uint8Array()] = sent;
  await using again = await launchGateway({ folder, config });
  await using reader = nomq(["sub", "#", "--count", "1", "--no-retained", "--socket", again.controlSocket]);
  await reader.said("subscribed", "stderr");
  const key = keyIn(folder);
  await socket.send(own, endpoint(again));
  // Sealed anew each second, as a sender does that has not seen the answer: what bears the last second before the kill
  // is a replay.
  const sendAgain = async (): Promise<number> => {
    for (const transfer of transfers)
      await socket.send(seal(key, { ...transfer, timestamp: unixSeconds() }), endpoint(again));
    return answers.length;
  };
  await expect.poll(sendAgain, { interval: 1_000 }).toBeGreaterThanOrEqual(4);
  const health = async (): Promise<unknown> =>
    (await createControlClient(again.controlSocket).get("/healthz")).body;
  await expect.poll(health).toMatchObject({ nomq: { rejected: { own: 1 } } });
  const end = { channel: "end", message: "m", flags: 1, sessionId: randomId(), timestamp: unixSeconds() };
  await socket.send(seal(key, end), endpoint(again));
  expect((await reader.ended).stdout).toBe("end m\n");
});
