import { createHash } from "node:crypto";
import { join } from "node:path";
import { createNomqNode, type NomqNode, openUdpTransport } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { bytesOfKey, keyText, newKey } from "../src/keys.ts";
import { launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";

describe("through a gateway", () => {
  test("pub and sub find it by its configuration, its data folder or its socket", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const ways = [
      ["--config", join(folder.path, "gateway.yaml")],
      ["--data", join(folder.path, "data")],
      ["--socket", gateway.controlSocket],
    ];
    for (const way of ways) {
      await using reader = nomq(["sub", "a/#", "--count", "1", "--no-retained", ...way]);
      await reader.said("subscribed to a/#", "stderr");
      expect(await nomq(["pub", "a/b", "hello", ...way]).ended).toEqual({ code: 0, stdout: "", stderr: "" });
      expect(await reader.ended).toMatchObject({ code: 0, stdout: "a/b hello\n" });
    }
  });

  test("every property of a message travels from pub to sub --json", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const way = ["--socket", gateway.controlSocket];
    const args = ["-q", "2", "-r", "--ttl", "5m", "--priority", "7", "--content-type", "application/json"];
    const { stdout } = await nomq(["pub", "a", '{"t":1}', ...args, "--json", ...way]).ended;
    const receipt = JSON.parse(stdout);
    expect(receipt).toMatchObject({ channel: "a", outcomes: expect.any(Array) });
    const read = await nomq(["sub", "#", "--json", "--count", "1", ...way]).ended;
    expect(JSON.parse(read.stdout)).toEqual({
      channel: "a",
      payload: '{"t":1}',
      qos: 2,
      retain: true,
      contentType: "application/json",
      expiresAt: expect.any(Number),
      priority: 7,
      id: receipt.id,
      origin: "api",
    });
  });

  test("- reads the payload from standard input, byte for byte", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const way = ["--socket", gateway.controlSocket];
    const input = Uint8Array.of(0, 255, 10, 13, 10);
    expect((await nomq(["pub", "a", "-", "--retain", ...way], { input }).ended).code).toBe(0);
    const json = await nomq(["sub", "a", "--json", "--count", "1", ...way]).ended;
    expect(JSON.parse(json.stdout)).toMatchObject({ payloadBase64: Buffer.from(input).toString("base64") });
    const plain = await nomq(["sub", "a", "--count", "1", ...way]).ended;
    expect(plain.stdout).toBe("a base64:AP8KDQo=\n");
  });

  test("a refused message: exit 1, the reason, and the receipt when asked for", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const args = ["pub", "a/#", "x", "--json", "--socket", gateway.controlSocket];
    const { code, stdout, stderr } = await nomq(args).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^refused: channel-invalid: a channel's name has .* no NUL, \+ or #/);
    expect(JSON.parse(stdout)).toMatchObject({ at: "refused", reason: "channel-invalid" });
  });

  test("sub ends with 0 at SIGINT", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    await using reader = nomq(["sub", "#", "--socket", gateway.controlSocket]);
    await reader.said("subscribed", "stderr");
    reader.signal("SIGINT");
    expect((await reader.ended).code).toBe(0);
  });
});

test("a channel nobody has named is listed by hash, source and count", async () => {
  using folder = testFolder();
  await using gateway = await launchGateway({ folder });
  const peer = ["--nomq", `udp://127.0.0.1:${gateway.port("nomq")}`, "--kind", "node"];
  const key = ["--key", join(folder.path, "data/keys/site.json")];
  expect((await nomq(["pub", "hidden", "x", ...peer, ...key]).ended).code).toBe(0);
  const client = createControlClient(gateway.controlSocket);
  const hash = createHash("sha256").update("hidden").digest("hex").slice(0, 32);
  const listed = { hash, source: expect.stringMatching(/^127\.0\.0\.1:\d+$/), count: 1 };
  await expect
    .poll(async () => (await client.get("/api/v1/nomq/unknown")).body)
    .toMatchObject({ channels: [listed], clocks: [] });
  expect((await client.get("/healthz")).body).toMatchObject({
    nomq: { unknownChannels: [listed], rejected: { "unknown-channel": 1 } },
  });
});

/** A node of ours on a port of its own, with its key in a file. */
async function openPeer(folder: TestFolder): Promise<{ node: NomqNode; way: readonly string[] }> {
  const key = newKey();
  const node = createNomqNode({
    transport: () => openUdpTransport({ host: "127.0.0.1", port: 0 }),
    keys: [bytesOfKey(key)],
    channels: ["a/b"],
  });
  const file = folder.file("key.json", keyText(key));
  return {
    node,
    get way() {
      return ["--nomq", `udp://127.0.0.1:${node.local()?.port}`, "--key", file];
    },
  };
}

describe("straight to a peer", () => {
  test.each(["device", "node"])("pub delivers at every QoS to a %s", async (kind) => {
    using folder = testFolder();
    const peer = await openPeer(folder);
    await using node = peer.node;
    const seen: string[] = [];
    node.receive({
      message: async ({ payload, qos, retain }) => {
        seen.push(`${Buffer.from(payload)} ${qos} ${retain}`);
        return { is: "accepted" };
      },
    });
    await node.start();
    for (const qos of ["1", "2"]) {
      const args = ["pub", "a/b", "hello", "-q", qos, "-r", "--json", "--kind", kind, ...peer.way];
      const { code, stdout } = await nomq(args).ended;
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ channel: "a/b", is: "delivered" });
    }
    expect(seen).toEqual(["hello 1 true", "hello 2 true"]);
  });

  test("pub fails when nobody acknowledges before the time to live ends", async () => {
    using folder = testFolder();
    const peer = await openPeer(folder);
    await using node = peer.node;
    node.receive({ message: async () => ({ is: "refused", reason: "not today" }) });
    await node.start();
    const { code, stderr } = await nomq(["pub", "a/b", "x", "-q", "1", "--ttl", "1s", ...peer.way]).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^expired: udp:\/\/127\.0\.0\.1:\d+ acknowledged nothing .*; does it run/);
  });

  test("pub says that nobody answers while it goes on trying", async () => {
    using folder = testFolder();
    const peer = await openPeer(folder);
    await using node = peer.node;
    node.receive({ message: async () => ({ is: "refused", reason: "not today" }) });
    await node.start();
    await using program = nomq(["pub", "a/b", "x", "-q", "1", ...peer.way]);
    await program.said("no answer from udp://127.0.0.1:", "stderr");
  });

  test("sub asks the peer for the channel and prints what it sends", async () => {
    using folder = testFolder();
    const peer = await openPeer(folder);
    await using node = peer.node;
    const asked = Promise.withResolvers<string>();
    node.receive({
      message: async () => ({ is: "accepted" }),
      subscribed: (from, channel) => {
        asked.resolve(channel);
        void node.publish(channel, Buffer.from("21.5"), { to: from.address, qos: 1 });
      },
    });
    await node.start();
    await using reader = nomq(["sub", "a/b", "--json", "--count", "1", "--kind", "node", ...peer.way]);
    expect(await asked.promise).toBe("a/b");
    const { code, stdout } = await reader.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ channel: "a/b", payload: "21.5", qos: 1, retain: false });
  });

  test("a host that is not known: exit 1", async () => {
    using folder = testFolder();
    const key = folder.file("key.json", keyText(newKey()));
    const args = ["pub", "a", "b", "--nomq", "udp://no-such-host.invalid:8888", "--key", key];
    const { code, stderr } = await nomq(args).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^listen-failed: no-such-host\.invalid is not known to the name service/);
  });
});
