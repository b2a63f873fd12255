// A node in a process of its own that takes every message: the far side of the round trips.
import { createNomqNode, openUdpTransport } from "@nomq/core";
import { benchChannel, readKey } from "./setting.ts";

const node = createNomqNode({
  transport: () => openUdpTransport({ host: "127.0.0.1" }),
  keys: [readKey(process.argv[2] ?? "")],
  channels: [benchChannel],
  // Each QoS 2 message is remembered for a minute after its end, so that no straggler of it is taken for new.
  limits: { transfers: 2_000_000, window: 2_000_000 },
});
node.receive({ message: async () => ({ is: "accepted" }) });
await node.start();
process.stdout.write(`${node.local()?.port}\n`);
// Its parent's end is its own.
process.stdin.resume().on("end", () => process.exit());
