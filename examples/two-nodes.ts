// Two NoMQ nodes talk to each other directly: no broker, no hub.
// Prints: greenhouse/temperature 21.5, delivered
import { randomBytes } from "node:crypto";
import { createNomqNode, type Key, openUdpTransport } from "@nomq/core";

const keys: readonly Key[] = [
  { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" },
];
const transport = () => openUdpTransport({ host: "127.0.0.1", port: 0 });

await using listener = createNomqNode({ transport, keys, channels: ["greenhouse/temperature"] });
const arrived = Promise.withResolvers<string>();
listener.receive({
  async message({ channel, payload }) {
    arrived.resolve(`${channel} ${Buffer.from(payload).toString()}`);
    return { is: "accepted" };
  },
});
await listener.start();

const address = listener.local();
if (address === undefined) throw new Error("not listening");
await using sender = createNomqNode({
  transport,
  keys,
  peers: [{ name: "listener", address, kind: "node" }],
});
await sender.start();
const outcome = await sender.publish("greenhouse/temperature", Buffer.from("21.5"), {
  to: "listener",
  qos: 1,
});
console.log(`${await arrived.promise}, ${outcome.is}`);
