// Runs in a network namespace of its own, where every port is free: starts the gateway as a user does, lets the
// oldest example of all run word for word, and prints what came out of it as one line of JSON.
import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { launchGateway } from "./gateway.ts";
import { EPOCH_2000, unixSeconds } from "./seal.ts";
import { openDevice } from "./udp-device.ts";
import { vectorKey } from "./vectors.ts";

const SUBSCRIBE = "exec mosquitto_sub -t test_sensor_data -h localhost";
const PUBLISH = 'mosquitto_pub -t test_sensor_data -h localhost -m "temp:100"';

await using device = await openDevice(vectorKey, 8888);
await using _gateway = await launchGateway({
  nomq: {
    listen: ["udp://[::]:8888"],
    devices: [{ name: "esp32", address: `127.0.0.1:${device.port}`, subscribe: ["test_sensor_data"] }],
  },
  mqtt: { listen: ["mqtt://[::]:1883"] },
});
const subscriber = spawn("sh", ["-c", SUBSCRIBE], { stdio: ["ignore", "pipe", "inherit"] });
const printed: string[] = [];
createInterface({ input: subscriber.stdout }).on("line", (line) => printed.push(line));
// mosquitto_sub does not say when it is subscribed: the example is run again until it is.
while (printed.length === 0) await promisify(execFile)("sh", ["-c", PUBLISH]);
// A device that was never heard gets one copy for each epoch; it accepts the one with its clock.
const copies = [await device.next(({ timestamp }) => timestamp > EPOCH_2000)];
const received = copies.filter(({ timestamp }) => Math.abs(timestamp - unixSeconds()) <= 30);
subscriber.kill("SIGKILL");
process.stdout.write(
  `${JSON.stringify({ line: printed[0], device: received.map(({ message }) => message) })}\n`,
);
