// Who is there: a board that is switched on and, two minutes later, off. Its model, on a clock that is told the time.
// Prints: valve offline (never-heard), online (answered), offline (silent)
import { randomBytes } from "node:crypto";
import { createNomqNode } from "@nomq/core";
import { createFakeClock, createMemoryNetwork, runV1Device } from "@nomq/core/testing";

const key = { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" } as const;
const clock = createFakeClock();
const network = createMemoryNetwork({ clock });
const address = { host: "10.0.0.40", port: 8888 };

await using node = createNomqNode({
  clock,
  keys: [key],
  transport: network.open(),
  peers: [{ name: "valve", address, channels: ["greenhouse/valve"] }],
});
await node.start();

const changes: string[] = [];
const watching = (async () => {
  for await (const { state, reason } of node.presence()) changes.push(`${state} (${reason})`);
})();
await clock.advance(1_000);
const board = runV1Device({
  ...key,
  clock,
  transport: network.open(address),
  channels: ["greenhouse/valve"],
});
await clock.advance(120_000);
await board[Symbol.asyncDispose]();
await clock.advance(300_000);
console.log(`valve ${changes.join(", ")}`);
await node.stop();
await watching;
