import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { askControlText } from "./real/control.ts";
import { type Gateway, launchGateway } from "./real/gateway.ts";
import { openModelDevice } from "./real/model-device.ts";
import { publish, subscribe } from "./real/mosquitto.ts";
import { vectorKey } from "./real/vectors.ts";

const MESSAGES = 5;
const ANSWERING = 19;

/** What of the API's answers is looked at here. */
interface Health {
  readonly ready: boolean;
  readonly bridges: Readonly<Record<string, { readonly state: string; readonly reason?: string }>>;
  readonly still: readonly { readonly client?: string; readonly reason: string; readonly pending: number }[];
}
interface Attached {
  readonly name: string;
  readonly ledger: { readonly accepted: number; readonly delivered: number; readonly pending: number };
}

/** Asks again until the answer is as it should be; the test's own limit ends it otherwise. */
async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// The API's own shapes.
const health = async (gateway: Gateway): Promise<Health> => (await gateway.ask("/healthz")) as Health;
const attached = async (gateway: Gateway): Promise<readonly Attached[]> =>
  (await gateway.ask("/api/v1/attachments")) as readonly Attached[];

/** A device that was switched off: something takes its datagrams and nothing answers. */
async function openVanished(): Promise<{ readonly address: string; readonly socket: Socket }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { address: `127.0.0.1:${socket.address().port}`, socket };
}

describeWithPeers("20 devices and two MQTT clients, of each kind one silent", ["mosquitto-clients"], () => {
  test("the others get everything; the stopped client is named until it goes on", async () => {
    await using stack = new AsyncDisposableStack();
    const devices = await Promise.all(
      Array.from({ length: ANSWERING }, () => openModelDevice(vectorKey, ["all"])),
    );
    for (const device of devices) stack.use(device);
    const vanished = await openVanished();
    stack.defer(() => void vanished.socket.close());
    const configured = [...devices, vanished].map(({ address }, at) => ({
      ...{ name: at < ANSWERING ? `device-${at}` : "vanished", address, key: "site", subscribe: ["all"] },
    }));
    const gateway = stack.use(await launchGateway({ nomq: { devices: configured } }));
    const healthy = stack.use(await subscribe(gateway.mqtt, "all", ["-q", "1", "-i", "healthy"]));
    const stopped = stack.use(await subscribe(gateway.mqtt, "all", ["-q", "1", "-i", "stopped"]));
    stopped.signal("SIGSTOP");
    for (let count = 0; count < MESSAGES; count += 1) {
      await publish(gateway.mqtt, "all", `message ${count}`, ["-q", "1"]);
    }
    await healthy.atLeast(MESSAGES);
    const isDone = ({ ledger }: Attached): boolean => ledger.delivered === MESSAGES && ledger.pending === 0;
    const rows = await until(
      () => attached(gateway),
      (all) => all.filter((row) => row.name.startsWith("nomq:") && isDone(row)).length >= ANSWERING,
    );
    expect(rows.filter((row) => row.name.startsWith("nomq:") && !isDone(row))).toMatchObject([
      { name: "nomq:vanished", ledger: { accepted: MESSAGES, delivered: 0, pending: MESSAGES } },
    ]);
    for (const device of devices) expect(device.delivered).toHaveLength(MESSAGES);
    expect(stopped.printed).toHaveLength(0);

    const named = await until(
      () => health(gateway),
      ({ still }) => still.length > 0,
    );
    const { reason } = named.bridges["mqtt"] ?? {};
    expect(named).toMatchObject({
      ready: true,
      bridges: { mqtt: { state: "degraded" } },
      still: [{ client: "stopped", reason: "unacknowledged", pending: MESSAGES }],
    });
    expect(reason).toContain('"stopped"');
    const metrics = await askControlText(gateway.control, "/metrics");
    expect(metrics).toMatch(/^nomq_pending\{attachment="nomq:vanished"\} 5$/m);
    expect(metrics).toMatch(/^nomq_device_online\{attachment="nomq:vanished"\} 0$/m);
    expect(metrics).toMatch(/^nomq_mqtt_slow_client_seconds\{client="stopped",reason="unacknowledged"\} \d/m);
    stopped.signal("SIGCONT");
    await stopped.atLeast(MESSAGES);
    await until(
      () => health(gateway),
      ({ bridges }) => bridges["mqtt"]?.state === "ready",
    );
  });
});
