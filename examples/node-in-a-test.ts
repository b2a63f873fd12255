// Ten minutes of a bad network in an instant: a network in memory and a clock that stands still until told.
// Prints: while cut unanswered, healed delivered
import { randomBytes } from "node:crypto";
import { createNomqNode, type Key } from "@nomq/core";
import { createFakeClock, createMemoryNetwork } from "@nomq/core/testing";

const keys: readonly Key[] = [
  { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" },
];
const clock = createFakeClock();
const network = createMemoryNetwork({ clock, loss: 1, duplicate: 0.1, delayMs: [5, 80], seed: 7 });
const transport = network.open();

await using listener = createNomqNode({ clock, keys, transport, channels: ["alarm"] });
listener.receive({ message: async () => ({ is: "accepted" }) });
await listener.start();

await using sender = createNomqNode({
  clock,
  keys,
  transport: network.open(),
  peers: [{ name: "listener", address: transport.local, kind: "node" }],
});
await sender.start();

const whileCut = sender.publish("alarm", Buffer.from("fire"), { to: "listener", qos: 1 });
await clock.advance(600_000);
network.change({ loss: 0.3 });
const healed = sender.publish("alarm", Buffer.from("fire"), { to: "listener", qos: 1 });
await clock.advance(600_000);
console.log(`while cut ${(await whileCut).is}, healed ${(await healed).is}`);
