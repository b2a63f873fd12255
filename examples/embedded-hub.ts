// A hub in your own process: an MQTT broker and a NoMQ listener, and a program that publishes between them.
// Prints: greenhouse/valve is stored for 1 receiver
import { randomBytes } from "node:crypto";
import { createHub, createNomqBridge, type Key } from "@nomq/core";
import { createMqttBridge } from "@nomq/mqtt-bridge";

const keys: readonly Key[] = [
  { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" },
];

await using hub = createHub();
hub.add(createMqttBridge({ listen: ["mqtt://127.0.0.1:1883"] }));
hub.add(createNomqBridge({ listen: ["udp://127.0.0.1:8888"], keys, channels: ["greenhouse/light"] }));
await hub.start();

const port = hub.port("example");
await port.attach({
  name: "example:valve",
  as: "*",
  filters: ["greenhouse/valve"],
  durable: false,
  deliver: async () => ({ is: "delivered" }),
});
const draft = { channel: "greenhouse/valve", payload: Buffer.from("open"), qos: 1 } as const;
const receipt = await port.publish(draft, "*");
const receivers = receipt.outcomes.filter(({ attachment }) => attachment === "example:valve");
console.log(`${receipt.channel} is ${receipt.at} for ${receivers.length} receiver`);
