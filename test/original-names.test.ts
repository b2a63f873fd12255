import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createNomqNode,
  decodeDeviceConfig,
  encodeDeviceConfig,
  genSignature,
  type IncomingMessage,
  type Key,
  type NomqNode,
  openUdpTransport,
  verifySignature,
} from "@nomq/core";
import { createFakeClock, createMemoryNetwork, type FakeClock } from "@nomq/core/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nomq, testFolder } from "../packages/gateway/test/launch.ts";
import { readPage } from "./real/pages.ts";

/** Rows of the table: what the original calls it, and the line that does it here. */
const rows = [
  ...(readPage("packages/nomq-core/README.md").split("## Coming from the original")[1] ?? "").matchAll(
    /^\| (`\w+\(.*?`(?:, `.*?`)*)[\w ]* \| .* \| `([^`]+)` \|$/gm,
  ),
].map(([, names = "", line = ""]) => ({
  names: [...names.matchAll(/(\w+)\(/g)].map(([, name]) => name),
  line,
}));

const lineOf = (name: string, nth = 0): string =>
  rows.filter(({ names }) => names.includes(name))[nth]?.line ?? "";

const key: Key = { id: "site", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" };
const encryptionKey = Buffer.from(key.encryption).toString("hex");
const hmacKey = Buffer.from(key.mac).toString("hex");

let clock: FakeClock;
let node: NomqNode;
let peer: NomqNode;
const printed: string[] = [];
const got: IncomingMessage[] = [];
const asked: string[] = [];

/** All that a line may name. */
const scope = (): Readonly<Record<string, unknown>> => ({
  node,
  key,
  keys: [key],
  encryptionKey,
  hmacKey,
  signature: genSignature("auth", key.mac),
  transport: () => openUdpTransport({ host: "127.0.0.1", port: 0 }),
  console: { log: (...words: string[]) => printed.push(words.join(" ")) },
  createNomqNode,
  encodeDeviceConfig,
  genSignature,
  verifySignature,
});

/** Runs a line as a program would that has imported these names; meanwhile an hour passes, if it must. */
async function run(line: string): Promise<unknown> {
  const names = scope();
  const body = line.startsWith("for ") ? line : `return (${line});`;
  // The page's own words are what is tested.
  const made = new Function(...Object.keys(names), `return (async () => { ${body} })();`) as (
    ...values: unknown[]
  ) => Promise<unknown>;
  let isDone = false;
  const ended = made(...Object.values(names)).finally(() => {
    isDone = true;
  });
  // A loop goes on beside the test, which owns the time.
  const most = line.startsWith("for ") ? 0 : 3_600;
  for (let passed = 0; passed < most && !isDone; passed += 1) await clock.advance(1_000);
  return await ended;
}

beforeEach(async () => {
  clock = createFakeClock();
  for (const list of [printed, got, asked]) list.length = 0;
  const network = createMemoryNetwork({ clock });
  // Where a broadcast goes.
  const [mine, others] = [network.open(), network.open({ port: 8_888 })];
  const channels = ["greenhouse/valve", "greenhouse/door"];
  node = createNomqNode({
    clock,
    transport: mine,
    keys: [key],
    channels,
    peers: [{ name: "peer", address: others.local, kind: "node" }],
  });
  peer = createNomqNode({ clock, transport: others, keys: [key], channels });
  peer.receive({
    async message(incoming) {
      got.push(incoming);
      return { is: "accepted" };
    },
    subscribed: (_from, channel) => void asked.push(`+${channel}`),
    unsubscribed: (_from, channel) => void asked.push(`-${channel}`),
  });
  await peer.start();
});

afterEach(async () => {
  await node.stop();
  await peer.stop();
});

test("every method that the original's users know has a line", () => {
  const known = ["subscribe", "publish", "listen", "mssg", "unsubscribe", "create_config", "gen_signature"];
  const named = rows.flatMap(({ names }) => names);
  expect([...known, "authenticate"].filter((name) => !named.includes(name))).toEqual([]);
});

describe("the lines of packages/nomq-core/README.md", () => {
  test("NoMQ", async () => {
    await using made = (await run(lineOf("NoMQ"))) as NomqNode;
    await made.start();
    expect(made.local()).toMatchObject({ host: "127.0.0.1" });
  });

  test("subscribe and unsubscribe", async () => {
    await node.start();
    await run(lineOf("subscribe"));
    await clock.advance(100);
    expect(asked).toEqual(["+greenhouse/door"]);
    await run(lineOf("unsubscribe"));
    await clock.advance(100);
    expect(asked).toEqual(["+greenhouse/door", "-greenhouse/door"]);
  });

  test("publish", async () => {
    await node.start();
    expect(await run(lineOf("publish"))).toMatchObject({ is: "delivered" });
    expect(got).toMatchObject([
      {
        channel: "greenhouse/valve",
        qos: 1,
        retain: true,
        ttl: 60,
        priority: 3,
        payload: Buffer.from("open"),
      },
    ]);
  });

  test("publish without an address", async () => {
    await node.start();
    expect(await run(lineOf("publish", 1))).toMatchObject({ is: "delivered" });
    await clock.advance(1_000);
    expect(got).toMatchObject([
      { channel: "greenhouse/valve", payload: Buffer.from("close"), broadcast: true },
    ]);
  });

  test("listen and mssg", async () => {
    expect(lineOf("mssg")).toBe(lineOf("listen"));
    await node.start();
    const reading = run(lineOf("listen"));
    const to = node.local() ?? { host: "", port: 0 };
    const sent = peer.publish("greenhouse/door", Buffer.from("ajar"), { to, qos: 1 });
    await clock.advance(1_000);
    expect(await sent).toMatchObject({ is: "delivered" });
    expect(printed).toEqual(["greenhouse/door ajar"]);
    // The loop ends with the node.
    await node.stop();
    await reading;
  });

  test("create_config, from a program and from a shell", async () => {
    const config = { ip: "0.0.0.0", port: 8_888, encryptionKey, hmacKey };
    expect(decodeDeviceConfig(String(await run(lineOf("create_config"))))).toEqual({ ok: true, config });
    using folder = testFolder();
    folder.file("site.json", JSON.stringify({ id: "site", encryption: encryptionKey, mac: hmacKey }));
    const [command, ...args] = lineOf("create_config", 1).split(" ");
    expect(command).toBe("nomq");
    expect(await nomq(args, { cwd: folder.path }).ended).toMatchObject({ code: 0 });
    const written = readFileSync(join(folder.path, "nomq_config.json"), "utf8");
    expect(decodeDeviceConfig(written)).toMatchObject({ ok: true, config });
  });

  test("gen_signature and authenticate", async () => {
    expect(await run(lineOf("gen_signature"))).toBe(genSignature("auth", key.mac));
    expect(await run(lineOf("authenticate"))).toBe(true);
  });

  test("close", async () => {
    await node.start();
    await run(lineOf("close"));
    expect(await node.publish("greenhouse/valve", Buffer.from("x"), { to: "peer" })).toMatchObject({
      is: "refused",
      reason: "closed",
    });
  });

  test("are all tried above", () => {
    const tried = ["NoMQ", "subscribe", "publish", "listen", "unsubscribe", "create_config", "gen_signature"];
    const names = new Set([...tried, "mssg", "authenticate", "close"]);
    expect(rows.flatMap((row) => row.names).filter((name) => !names.has(name ?? ""))).toEqual([]);
    expect(rows).toHaveLength(11);
  });
});
