// A node beside a board that runs the original NoMQ code, here its model from @nomq/core/testing.
// Prints: the board has open (delivered), the node has 21.5
import { randomBytes } from "node:crypto";
import { createNomqNode, type Key, openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device } from "@nomq/core/testing";

const key: Key = { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" };
const loopback = { host: "127.0.0.1", port: 0 };

await using board = runV1Device({
  encryption: key.encryption,
  mac: key.mac,
  clock: systemClock,
  transport: await openUdpTransport(loopback),
  channels: ["greenhouse/valve"],
});

await using node = createNomqNode({
  transport: () => openUdpTransport(loopback),
  keys: [key],
  channels: ["greenhouse/temperature"],
  peers: [{ name: "valve", address: board.local }],
});
const arrived = Promise.withResolvers<string>();
node.receive({
  async message({ payload }) {
    arrived.resolve(Buffer.from(payload).toString());
    return { is: "accepted" };
  },
});
await node.start();

const outcome = await node.publish("greenhouse/valve", Buffer.from("open"), { to: "valve", qos: 2 });
await board.publish({ channel: "greenhouse/temperature", message: "21.5", qos: 1 }, node.local() ?? loopback);
const [message] = board.delivered;
console.log(`the board has ${message?.text} (${outcome.is}), the node has ${await arrived.promise}`);
