// A node as subscriber: it asks another node for a channel and iterates over what comes.
// Prints: greenhouse/temperature 21.5
import { randomBytes } from "node:crypto";
import { createNomqNode, type Key, openUdpTransport } from "@nomq/core";

const keys: readonly Key[] = [
  { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" },
];
const transport = () => openUdpTransport({ host: "127.0.0.1", port: 0 });

await using sensor = createNomqNode({ transport, keys });
await sensor.start();
await sensor.publish("greenhouse/temperature", Buffer.from("21.5"), { qos: 1, retain: true });

const address = sensor.local();
if (address === undefined) throw new Error("not listening");
await using listener = createNomqNode({
  transport,
  keys,
  peers: [{ name: "sensor", address, kind: "node" }],
});
await listener.start();
await listener.subscribe("greenhouse/temperature", "sensor");
for await (const { channel, payload } of listener.messages()) {
  console.log(channel, Buffer.from(payload).toString());
  break;
}
