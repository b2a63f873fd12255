// Runs inside a network namespace of its own (namespace.ts) with one real interface, and prints what it saw as JSON.
import { execFileSync } from "node:child_process";
import {
  createNomqNode,
  type Endpoint,
  type NomqNode,
  openReopeningTransport,
  openUdpTransport,
  type Transport,
} from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { openModelDevice } from "./model-device.ts";
import { vectorKey } from "./vectors.ts";

const ip = (line: string): void => void execFileSync("ip", line.split(" "), { stdio: "pipe" });
for (const line of [
  "link add x0 type veth peer name x1",
  "link set x0 addrgenmode none",
  "link set x1 addrgenmode none",
  "link set x1 up",
  "link set x0 up",
  "addr add fe80::1/64 dev x0 nodad",
  "addr add 10.9.0.1/24 brd + dev x0",
  "route add default dev x0",
]) {
  ip(line);
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const keys = [{ id: "site", ...vectorKey, dialect: "auto" }] as const;

/** A node whose messages are waited for. */
interface Listening {
  readonly node: NomqNode;
  readonly texts: string[];
  readonly peers: Endpoint[];
  readonly broadcasts: boolean[];
  arrived(count: number): Promise<void>;
}

async function listening(transport: Transport): Promise<Listening> {
  const node = createNomqNode({ transport, keys, channels: ["a/b"], pace: 1000 });
  let wake = (): void => undefined;
  const seen: Listening = {
    node,
    texts: [],
    peers: [],
    broadcasts: [],
    async arrived(count) {
      while (seen.texts.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
  node.receive({
    async message({ payload, peer, broadcast }) {
      seen.texts.push(Buffer.from(payload).toString());
      seen.peers.push(peer.address);
      seen.broadcasts.push(broadcast);
      wake();
      return { is: "accepted" };
    },
  });
  await node.start();
  return seen;
}

/** Asks again until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}

await using stack = new AsyncDisposableStack();
const one = await listening(await openUdpTransport());
stack.use(one.node);
const two = await listening(await openUdpTransport({ multicast: [{ group: "ff02::114", interface: "x0" }] }));
stack.use(two.node);
const port = two.node.local()?.port ?? 0;

await one.node.broadcast("a/b", bytes("to the group"), { to: { host: "ff02::114%x0", port } });
await two.arrived(1);
await one.node.broadcast("a/b", bytes("to all nodes"), { to: { host: "ff02::1%x0", port } });
await two.arrived(2);
const multicast = {
  texts: two.texts,
  from: two.peers[0]?.host,
  broadcast: two.broadcasts.every(Boolean),
};

const onePort = one.node.local()?.port ?? 0;
const direct = { to: { host: "FE80:0::1%x0", port: onePort }, qos: 1 } as const;
const outcome = await two.node.publish("a/b", bytes("direct"), direct);
const linkLocal = { outcome: outcome.is, texts: one.texts, peer: one.peers[0]?.host };

const device = stack.use(await openModelDevice(vectorKey, ["a/b"], { sharedPort: 0 }));
const boards = [device.port, onePort].map((each) => ({ host: "10.9.0.255", port: each }));
await one.node.broadcast("a/b", bytes("to boards"), { to: boards });
await until(() => device.delivered.length > 0 && one.node.status().rejected.own === 2);
const dualStack = {
  device: device.delivered.map((text) => text.slice(4)),
  own: one.node.status().rejected.own,
};
await one.node.broadcast("a/b", bytes("to everybody"), {
  to: { host: "255.255.255.255", port: device.port },
});
await until(() => device.delivered.length > 1);
const limited = { device: device.delivered.map((text) => text.slice(4)) };

const clock = createFakeClock();
const told: string[] = [];
const reopening = stack.use(
  await openReopeningTransport({
    clock,
    open: (again) => openUdpTransport({ host: "10.9.0.1", port: again ?? 0 }),
    changed: (reason) => told.push(reason?.split(":")[0] ?? "open"),
  }),
);
ip("addr del 10.9.0.1/24 dev x0");
await reopening.send(bytes("nobody"), { host: "10.9.0.9", port: 9 });
await until(() => told.length === 1);
await clock.advance(2000);
await until(() => told.length === 2);
ip("addr add 10.9.0.1/24 brd + dev x0");
await clock.advance(4000);
await until(() => told.length === 3);
const heard = new Promise<string>((resolve) => {
  reopening.onDatagram((datagram) => resolve(Buffer.from(datagram).toString()));
});
await reopening.send(bytes("back again"), reopening.local);
const reopened = { told, text: await heard };

process.stdout.write(JSON.stringify({ multicast, linkLocal, dualStack, limited, reopened }));
