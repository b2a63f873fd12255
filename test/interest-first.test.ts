import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { nomq, type Program, testFolder } from "../packages/gateway/test/launch.ts";
import { connectRaw, publishOf, type RawClient } from "../packages/mqtt-bridge/test/raw-client.ts";
import { type CoapOptionPair, decodeCoap, EMPTY, encodeCoap, OPTION, POST } from "./real/coap-wire.ts";
import { freePorts } from "./real/free-ports.ts";
import { openModelDevice } from "./real/model-device.ts";
import { ACK, randomId, unixSeconds } from "./real/seal.ts";
import { openDevice } from "./real/udp-device.ts";
import { vectorKey } from "./real/vectors.ts";

// Interest before ingress (docs/architecture.md): what is acknowledged at the first instant is routed to who was
// interested before.

/** How long the peers stay away. */
const AWAY_MS = process.env["NOMQ_LONG"] === undefined ? 1_500 : 30_000;
const AGAIN_MS = 2;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves as soon as the port takes a connection. */
async function answers(port: number): Promise<void> {
  const isOpen = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => socket.end(() => resolve(true)));
      socket.once("error", () => resolve(false));
    });
  while (!(await isOpen())) await rest(AGAIN_MS);
}

/** A NoMQ publisher that sends its transfer again and again until it is acknowledged. */
async function publishByNomq(port: number, message: string): Promise<void> {
  await using device = await openDevice(vectorKey, port);
  const transfer = { sessionId: randomId(), packetId: randomId(), channel: "cmd/valve", message, flags: 1 };
  while (!device.received.some(({ type }) => type === ACK)) {
    await device.send({ ...transfer, timestamp: unixSeconds() });
    await rest(AGAIN_MS);
  }
}

/** A CoAP device that sends its confirmable message again and again until it has an answer. */
async function publishByCoap(port: number, payload: string): Promise<void> {
  const path = ["cmd", "valve"].map((level): CoapOptionPair => [OPTION.uriPath, Buffer.from(level)]);
  const token = Buffer.from("token");
  const post = {
    type: "CON",
    code: POST,
    messageId: 1,
    token,
    options: path,
    payload: Buffer.from(payload),
  } as const;
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  let isAnswered = false;
  socket.on("message", (bytes) => {
    const { code } = decodeCoap(bytes);
    if (code !== EMPTY) expect(code).toBe("2.04");
    isAnswered ||= code === "2.04";
  });
  while (!isAnswered) {
    socket.send(encodeCoap(post), port, "127.0.0.1");
    await rest(AGAIN_MS);
  }
  socket.close();
}

/** An MQTT publisher that is there as soon as the port is; resolves with its PUBACK. */
async function publishByMqtt(port: number, payload: string): Promise<void> {
  await answers(port);
  const behind = [publishOf({ topic: "cmd/valve", payload, qos: 1, messageId: 1 })];
  await using client: RawClient = await connectRaw({ port, behind });
  expect((await client.take("puback")).reasonCode ?? 0).toBe(0);
}

/** A client with a session that outlasts its connection. */
function dashboard(port: number): Promise<RawClient> {
  const properties = { sessionExpiryInterval: 3_600 };
  return connectRaw({ port, clientId: "dashboard", clean: false, properties });
}

/** What the dashboard's session gets until nothing more has come for a while, each acknowledged. */
async function textsOf(client: RawClient, wanted: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < wanted) {
    const { payload, messageId } = await client.take("publish");
    texts.push(payload.toString());
    if (messageId !== undefined) client.send({ cmd: "puback", messageId });
  }
  await client.settled();
  return [...texts, ...client.messages().slice(wanted)].sort();
}

async function killed(program: Program): Promise<void> {
  program.signal("SIGKILL");
  await program.ended;
}

test("kill -9, restart, publish at the first instant a port answers: who is back later has it once", async () => {
  using folder = testFolder();
  const [mqttPort = 0, nomqPort = 0, coapPort = 0, devicePort = 0] = await freePorts(4);
  const { encryption, mac } = vectorKey;
  const key = { id: "site", encryption: encryption.toString("hex"), mac: mac.toString("hex") };
  const devices = [{ name: "valve", address: `127.0.0.1:${devicePort}`, subscribe: ["cmd/#"] }];
  const nomqSection = { listen: [`udp://127.0.0.1:${nomqPort}`], keys: [key], devices };
  const file = folder.file(
    "gateway.yaml",
    `nomq: ${JSON.stringify(nomqSection)}\nmqtt: { listen: ["mqtt://127.0.0.1:${mqttPort}"] }\ncoap: { listen: ["coap://127.0.0.1:${coapPort}"] }\nhttp: { listen: [] }\nlog: { format: json }\n`,
  );
  const start = (): Program => nomq(["gateway", "--config", file]);
  {
    await using first = start();
    await first.said('"ready"');
    await using client = await dashboard(mqttPort);
    client.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: [{ topic: "cmd/#", qos: 1 }],
    });
    await client.take("suback");
    await killed(first);
  }

  await using again = start();
  await Promise.all([
    publishByNomq(nomqPort, "from nomq"),
    publishByMqtt(mqttPort, "from mqtt"),
    publishByCoap(coapPort, "from coap"),
  ]);
  await rest(AWAY_MS);
  await using client = await dashboard(mqttPort);
  expect(await textsOf(client, 3)).toEqual(["from coap", "from mqtt", "from nomq"]);
  await using valve = await openModelDevice(vectorKey, ["cmd/valve"], { port: devicePort });
  // It says that it is there, as a board does that starts.
  await expect.poll(() => valve.delivered.length, { timeout: 60_000 }).toBe(3);
  await rest(1_000);
  expect([...valve.delivered].sort()).toEqual([
    "cmd/valve from coap",
    "cmd/valve from mqtt",
    "cmd/valve from nomq",
  ]);
  expect(again.stderr()).not.toContain('"level":"error"');
});
