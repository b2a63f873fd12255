import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openUdpTransport, type Transport } from "@nomq/core";
import { createV1Device } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { EXAMPLES } from "../src/cli/examples.ts";
import { type LaunchedGateway, launchGateway, nomq, type TestFolder, testFolder } from "./launch.ts";
import { raw, served } from "./served.ts";

const hashOf = (channel: string): string => createHash("sha256").update(channel).digest("hex").slice(0, 32);

/** A board with a real socket and the gateway's own key. */
interface Board extends AsyncDisposable {
  readonly address: string;
  /** Sends one message, its clock `offset` seconds ahead; the datagram can be sent again. */
  publish(channel: string, over?: { offset?: number; qos?: number }): Promise<Uint8Array>;
  again(datagram: Uint8Array): Promise<void>;
  /** Speaks to this gateway from now on. */
  turnTo(gateway: LaunchedGateway): void;
  /** Datagrams that came back. */
  readonly answers: Uint8Array[];
}

async function openBoard(folder: TestFolder, first: LaunchedGateway): Promise<Board> {
  const key = JSON.parse(readFileSync(join(folder.path, "data/keys/site.json"), "utf8"));
  const transport: Transport = await openUdpTransport({ host: "127.0.0.1", port: 0 });
  let to = { host: "127.0.0.1", port: first.port("nomq") };
  const answers: Uint8Array[] = [];
  transport.onDatagram((datagram) => void answers.push(datagram));
  const device = createV1Device({
    encryption: Buffer.from(key.encryption, "hex"),
    mac: Buffer.from(key.mac, "hex"),
    channels: [],
  });
  return {
    address: `127.0.0.1:${transport.local.port}`,
    answers,
    async publish(channel, { offset = 0, qos = 0 } = {}) {
      const now = Math.floor(Date.now() / 1000) + offset;
      const [datagram = new Uint8Array()] = device.publish({ channel, message: "m", qos }, now).datagrams;
      await transport.send(datagram, to);
      return datagram;
    },
    turnTo(gateway) {
      to = { host: "127.0.0.1", port: gateway.port("nomq") };
    },
    again: (datagram) => transport.send(datagram, to),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

/** Runs a command until what it prints holds the text. */
async function printed(args: readonly string[], wanted: string): Promise<string> {
  for (;;) {
    const { code, stdout } = await nomq(args).ended;
    expect(code).toBe(0);
    if (stdout.includes(wanted)) return stdout;
  }
}

describe("nomq unknown and nomq name", () => {
  test("the line it prints names the channel, and the message arrives when it is sent again", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    await using board = await openBoard(folder, gateway);
    const way = ["--socket", gateway.controlSocket];
    const hash = hashOf("greenhouse/temperature");
    const datagram = await board.publish("greenhouse/temperature", { qos: 1 });
    const shown = await printed(["unknown", ...way], hash);
    expect(shown).toMatch(
      new RegExp(
        `^channel ${hash}\n  1 message, \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ, from ${board.address}\n` +
          `  once you know its name:\n    npm start -s -- name ${hash} CHANNEL --socket ${gateway.controlSocket}\n` +
          "  or in gateway.yaml, under nomq.channels:\n    - CHANNEL\n$",
      ),
    );
    expect(board.answers).toEqual([]);
    await using reader = nomq(["sub", "#", "--count", "1", ...way]);
    await reader.said("subscribed", "stderr");
    const [, line = ""] = /^ {4}npm start -s -- (name .*)$/m.exec(shown) ?? [];
    const typed = line.replace("CHANNEL", "greenhouse/temperature").split(" ");
    expect(await nomq(typed).ended).toMatchObject({
      code: 0,
      stdout: `${hash} greenhouse/temperature\n`,
    });
    await board.again(datagram);
    expect(await reader.ended).toMatchObject({ code: 0, stdout: "greenhouse/temperature m\n" });
    await expect.poll(() => board.answers.length).toBe(1);
    expect(await nomq(["unknown", ...way]).ended).toEqual({
      code: 0,
      stdout: "",
      stderr: "nothing is unknown\n",
    });
  });

  test("--json: one object a line, channels and clocks, each with its kind", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    await using board = await openBoard(folder, gateway);
    await using unset = await openBoard(folder, gateway);
    const way = ["--socket", gateway.controlSocket];
    await board.publish("x");
    await unset.publish("x", { offset: 60 - Math.floor(Date.now() / 1000) });
    const lines = (await printed(["unknown", "--json", ...way], '"kind":"clock"')).trim().split("\n");
    const [channel, clock, ...more] = lines.map((line) => JSON.parse(line));
    expect(more).toEqual([]);
    expect(channel).toEqual({
      kind: "channel",
      hash: hashOf("x"),
      source: board.address,
      sources: [board.address],
      count: 1,
      firstSeen: expect.any(Number),
      lastSeen: expect.any(Number),
    });
    expect(clock).toMatchObject({
      kind: "clock",
      source: unset.address,
      key: "site",
      reason: "clock-unknown",
      likely: expect.stringMatching(/^nobody has set it: it counts from 0 and shows \d+ s|1 min/),
      paste: expect.stringContaining("clock: any"),
      count: 1,
    });
    const { stdout } = await nomq(["unknown", ...way]).ended;
    expect(stdout).toContain(`clock ${unset.address}\n  1 packet, `);
    expect(stdout).toContain(`    ${clock.paste}\n`);
    expect(stdout).toContain('    time: "udp://[::]:123"\n');
  });

  test("the line it prints for a wrong clock makes the gateway take the device", async () => {
    using folder = testFolder();
    const offset = 7 * 60;
    const first = await launchGateway({ folder });
    await using board = await openBoard(folder, first);
    await board.publish("a", { offset });
    const shown = await printed(["unknown", "--socket", first.controlSocket], "clock: any");
    expect(shown).toMatch(/\n {2}it is (7 min|6 min \d+ s) ahead\n/);
    await first[Symbol.asyncDispose]();

    const line = /^ {4}(- .*clock: any })$/m.exec(shown)?.[1] ?? "";
    const config = `nomq:\n  listen: ["udp://127.0.0.1:0"]\n  channels: [a]\n  devices:\n    ${line}\n`;
    await using gateway = await launchGateway({ folder, config });
    board.turnTo(gateway);
    await using reader = nomq(["sub", "a", "--count", "1", "--socket", gateway.controlSocket]);
    await reader.said("subscribed", "stderr");
    await board.publish("a", { offset });
    expect(await reader.ended).toMatchObject({ code: 0, stdout: "a m\n" });
  });

  test("a name that does not fit: exit 1 with both hashes; names are listed and forgotten", async () => {
    using folder = testFolder();
    await using gateway = await launchGateway({ folder });
    const way = ["--socket", gateway.controlSocket];
    const hash = hashOf("a/b");
    const wrong = await nomq(["name", hash, "a/c", ...way]).ended;
    expect(wrong).toMatchObject({ code: 1, stdout: "" });
    expect(wrong.stderr).toContain(`"a/c" has the hash ${hashOf("a/c")}, not ${hash}`);
    expect((await nomq(["name", hash.slice(0, 8), "a/b", "--json", ...way]).ended).stdout).toBe(
      `${JSON.stringify({ hash, channel: "a/b" })}\n`,
    );
    expect(await nomq(["name", "--list", ...way]).ended).toMatchObject({ code: 0, stdout: `${hash} a/b\n` });
    expect(await nomq(["name", "--forget", "a/b", ...way]).ended).toMatchObject({
      code: 0,
      stdout: `${hash} a/b\n`,
    });
    const gone = await nomq(["name", "--forget", "a/b", ...way]).ended;
    expect(gone).toMatchObject({ code: 1, stdout: "" });
    expect(gone.stderr).toContain('the name "a/b" is not kept');
  });

  test.each([[["name"]], [["name", "abcdef01"]], [["name", "abcdef01", "a", "--list"]]])(
    "%j is used wrongly: exit code 2",
    async (args) => {
      const { code, stderr } = await nomq(args).ended;
      expect(code).toBe(2);
      expect(stderr).toContain("expected HASH CHANNEL, or --list, or --forget CHANNEL");
    },
  );

  test("the example in the help is true", () => {
    const [, hash, channel = ""] = /nomq name ([0-9a-f]{32}) (\S+)/.exec(EXAMPLES.name) ?? [];
    expect(hashOf(channel)).toBe(hash);
  });
});

describe("/api/v1/nomq/names", () => {
  const NOMQ = "nomq: { listen: ['udp://127.0.0.1:0'] }\nmqtt: { listen: [] }";
  const PATH = "/api/v1/nomq/names";

  test("POST, GET and DELETE, also of a channel with slashes and signs", async () => {
    await using it = await served(NOMQ);
    for (const channel of ["a/b", "/ä %2F?", "a//"]) {
      const name = { hash: hashOf(channel), channel };
      expect(await it.client.post(PATH, name)).toEqual({ status: 200, body: name });
      expect((await it.client.get(PATH)).body).toEqual([name]);
      const path = `${PATH}/${encodeURIComponent(channel)}`;
      expect(await it.client.delete(path)).toEqual({ status: 200, body: name });
      expect(await it.client.delete(path)).toMatchObject({
        status: 404,
        body: { error: { code: "not-found" } },
      });
    }
    expect((await it.client.get(PATH)).body).toEqual([]);
  });

  test.each([
    ["{", 400, "request-invalid", "the body is not JSON"],
    ["[]", 400, "request-invalid", "expected { hash, channel }"],
    ['{"hash":1,"channel":"a"}', 400, "request-invalid", "hash: expected the hash as text"],
    ['{"hash":"abcdef01"}', 400, "request-invalid", "channel: expected a channel name"],
    ['{"hash":"abcdef01","channel":"a","b":1}', 400, "request-invalid", "b: not a known key"],
    ['{"hash":"abcdef","channel":"a"}', 400, "hash-invalid", "hexadecimal"],
    ['{"hash":"abcdef01","channel":"a/#"}', 400, "channel-invalid", "no NUL"],
    ['{"hash":"abcdef01","channel":"a"}', 409, "hash-mismatch", `the hash ${hashOf("a")}, not abcdef01`],
  ])("%s is refused with %i %s", async (body, status, code, text) => {
    await using it = await served(NOMQ);
    const answer = await raw(it.socket, { method: "POST", path: PATH, body });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toEqual({ error: { code, text: expect.stringContaining(text) } });
  });

  test("without a NoMQ listener there is nothing to name", async () => {
    await using it = await served();
    const name = { hash: hashOf("a"), channel: "a" };
    expect(await it.client.post(PATH, name)).toMatchObject({
      status: 404,
      body: { error: { code: "not-found" } },
    });
    expect(await it.client.get(PATH)).toEqual({ status: 200, body: [] });
  });
});
