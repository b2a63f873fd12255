// An MQTT broker in your own process, whose retained messages your program can write and read.
// Prints: greenhouse/light on
import { createHub } from "@nomq/core";
import { createMqttBridge } from "@nomq/mqtt-bridge";

await using hub = createHub();
hub.add(createMqttBridge({ listen: ["mqtt://127.0.0.1:1883", "ws://127.0.0.1:8083"] }));
await hub.start();

const port = hub.port("example");
await port.publish({ channel: "greenhouse/light", payload: Buffer.from("on"), retain: true }, "*");
for await (const { channel, payload } of port.retained(["greenhouse/#"], "*")) {
  console.log(channel, Buffer.from(payload).toString());
}
