// A CoAP sensor on an MQTT dashboard, with Debian's programs (libcoap3-bin, mosquitto-clients); a command; a setting.
// Prints: greenhouse/temperature 21.5 application/json, retained, for a minute
// Prints: pump/set on
// Prints: greenhouse/set 19
import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device } from "@nomq/core/testing";
import { createGateway, parseConfig } from "@nomq/gateway";

const key = { encryption: Buffer.alloc(32, 1), mac: Buffer.alloc(32, 2) };
const transport = await openUdpTransport({ host: "127.0.0.1", port: 9001 });
await using pump = runV1Device({ transport, clock: systemClock, ...key, channels: ["pump/set"] });
const text = `
data: memory
nomq:
  keys: [{ id: site, encryption: "${key.encryption.toString("hex")}", mac: "${key.mac.toString("hex")}" }]
  devices: [{ name: pump, address: "127.0.0.1:9001", subscribe: ["pump/#"] }]
coap: { observe: [{ url: "coap://127.0.0.1:5700/temp", channel: greenhouse/temperature, expire: true }] }`;
const sensor = spawn("coap-server-notls", ["-A", "127.0.0.1", "-p", "5700", "-d", "1"]);
await using gateway = createGateway({ config: parseConfig({ name: "example", text, folder: "." }) });
await gateway.start();

const run = promisify(execFile);
const coap = async (...args: string[]) => (await run("coap-client-notls", args)).stdout;
const measure = (value: string) => coap("-m", "put", "-t", "50", "-e", value, "coap://127.0.0.1:5700/temp");
await measure("20.5");
const shown = ["-F", "%t %p %C, %r %E", "-V", "mqttv5", "--retain-as-published"];
const dashboard = spawn("mosquitto_sub", ["-t", "greenhouse/temperature", ...shown]);
for await (const line of createInterface({ input: dashboard.stdout })) {
  if (line.includes("20.5")) await measure("21.5");
  else if (dashboard.kill("SIGKILL")) console.log(line.replace(/1 \d+$/, "retained, for a minute"));
}
await coap("-m", "put", "-e", "on", "coap://127.0.0.1/pump/set");
await pump.until(() => pump.delivered.length > 0);
console.log(pump.delivered.map(({ channel, text: told }) => `${channel} ${told}`).join());
await run("mosquitto_pub", ["-r", "-t", "greenhouse/set", "-m", "19"]);
console.log("greenhouse/set", await coap("coap://127.0.0.1/greenhouse/set"));
sensor.kill();
