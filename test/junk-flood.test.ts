import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { launchGateway } from "./real/gateway.ts";
import { publish, subscribe } from "./real/mosquitto.ts";
import { randomId, unixSeconds } from "./real/seal.ts";
import { openDevice } from "./real/udp-device.ts";
import { vectorKey } from "./real/vectors.ts";

const long = Boolean(process.env["NOMQ_LONG"]);
const PER_SECOND = 50_000;
const SECONDS = long ? 20 : 2;
/** What the flood may leave behind: buffers and heap that the runtime has not given back yet, no more with time. */
const MAY_GROW_MIB = 96;
/** Each kind of bad datagram is said once, then in sums; a line for each datagram would be tens of thousands. */
const MAX_LOG_LINES = 100;

const sender = new URL("real/junk-sender.ts", import.meta.url).pathname;

async function flood(port: number, seconds: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    sender,
    ...[port, PER_SECOND, seconds].map(String),
  ]);
  // Its own line of JSON.
  return (JSON.parse(stdout) as { sent: number }).sent;
}

const lines = (text: string): number => text.split("\n").length;

describeWithPeers("a flood of junk", ["mosquitto-clients"], () => {
  test(`${PER_SECOND} datagrams/s for ${SECONDS} s: lives, memory flat, log in sums, MQTT flows`, async () => {
    await using gateway = await launchGateway({ nomq: { channels: ["a/b"] } });
    await using subscriber = await subscribe(gateway.mqtt, "#", ["-q", "1"]);
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    const published: string[] = [];
    /** Junk and MQTT side by side; answers how much junk was sent. */
    const storm = async (seconds: number): Promise<number> => {
      let flooding = true;
      const flooded = flood(gateway.nomqPort, seconds).finally(() => {
        flooding = false;
      });
      while (flooding) {
        const text = `meanwhile ${published.length}`;
        published.push(text);
        await publish(gateway.mqtt, "mqtt", text, ["-q", "1"]);
        await subscriber.atLeast(published.length);
      }
      return flooded;
    };
    // The first storm warms up: what the runtime takes once, for as much traffic, is no leak.
    await storm(SECONDS / 2);
    const before = await gateway.residentMiB();
    const linesBefore = lines(gateway.output());
    // A busy machine sends more slowly; a tenth is a flood all the same.
    expect(await storm(SECONDS)).toBeGreaterThan((PER_SECOND * SECONDS) / 10);
    expect(subscriber.printed.map(({ text }) => text)).toEqual(published);

    expect((await gateway.residentMiB()) - before).toBeLessThan(MAY_GROW_MIB);
    expect(lines(gateway.output()) - linesBefore).toBeLessThan(MAX_LOG_LINES);
    const { rejected } = await gateway.nomqHealth();
    expect(rejected.malformed).toBeGreaterThan(0);
    expect(rejected["bad-mac"]).toBeGreaterThan(0);

    const last = { channel: "a/b", message: "alive", sessionId: randomId(), timestamp: unixSeconds() };
    await device.send(last);
    await subscriber.atLeast(published.length + 1);
    expect(subscriber.printed.at(-1)?.text).toBe("alive");
  });
});
