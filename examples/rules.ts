// Access rules in a hub of your own: the devices of one key may publish, MQTT clients without a name may only read.
// Prints: anonymous may publish valve/1: false

import { randomBytes } from "node:crypto";
import { createHub, createNomqBridge, type Key } from "@nomq/core";
import { createAccessRules } from "@nomq/gateway/access";
import { createMqttBridge } from "@nomq/mqtt-bridge";

const keys: readonly Key[] = [
  { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" },
];
const access = createAccessRules([
  { who: "nomq:site", publish: ["sensor/#"], subscribe: ["valve/#"] },
  { who: "anonymous", subscribe: ["sensor/#"] },
]);

await using hub = createHub({ access });
hub.add(createMqttBridge({ listen: ["mqtt://127.0.0.1:1883"] }));
hub.add(createNomqBridge({ listen: ["udp://127.0.0.1:8888"], keys, channels: ["sensor/1"] }));
await hub.start();

const port = hub.port("example");
const draft = { channel: "sensor/1", payload: Buffer.from("21.5") };
console.log(`a device's value: ${(await port.publish(draft, "nomq:site")).at}`);
console.log(`an MQTT client's value: ${(await port.publish(draft, "anonymous")).at}`);
console.log(`anonymous may publish valve/1: ${port.may("anonymous", "publish", "valve/1")}`);
