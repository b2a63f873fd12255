import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nomq, testFolder } from "./launch.ts";

const VECTORS = JSON.parse(
  readFileSync(new URL("../../nomq-core/test/fixtures/nomq-v1.json", import.meta.url), "utf8"),
);
const VECTOR_KEY = JSON.stringify({
  id: "vectors",
  encryption: VECTORS.keys.encryption_key,
  mac: VECTORS.keys.hmac_key,
});
const HELLO: string = VECTORS.send.find((each: { name: string }) => each.name === "publish-qos0").hex;

const COMMANDS = [
  "gateway",
  "pub",
  "sub",
  "unknown",
  "name",
  "keys",
  "device-config",
  "decode",
  "check",
  "explain",
  "passwd",
  "token",
  "access",
  "coap",
];

describe("help and usage", () => {
  test.each([
    [["--help"]],
    ...COMMANDS.map((command) => [[command, "--help"]]),
    [["keys", "new", "--help"]],
    [["token", "new", "--help"]],
    [["access", "explain", "--help"]],
    [["access", "reload", "--help"]],
    [["coap", "discover", "--help"]],
  ])("%j explains itself with examples", async (args) => {
    const { code, stdout } = await nomq(args).ended;
    expect(code).toBe(0);
    expect(stdout).toContain("Usage: nomq");
    if (!["keys", "token", "access", "coap"].includes(args[0] ?? "") || args[1] !== "--help")
      expect(stdout).toMatch(/Examples:\n {2}\$ /);
  });

  test.each([
    [["pubb"], "unknown command pubb; did you mean pub?"],
    [["pub", "a"], "missing required argument 'message'"],
    [["pub", "a", "b", "--qos", "3"], "expected a whole number from 0 to 2"],
    [["pub", "a", "b", "--ttl", "soon"], "expected seconds, or a duration such as 60s"],
    [["sub", "a", "--cuont", "1"], "(Did you mean --count?)"],
    [["sub", "a/#/b"], "a/#/b is no filter"],
    [["sub", "a", "--nomq", "udp://127.0.0.1:1"], "--nomq needs --key FILE"],
    [["pub", "a", "b", "--nomq", "mqtt://127.0.0.1:1", "--key", "KEY"], "--nomq expects udp://HOST:PORT"],
    [["sub", "a/#", "--nomq", "udp://127.0.0.1:1", "--key", "KEY"], "NoMQ has no wildcards"],
    [["decode", "xyz"], "expected the packet's bytes in hexadecimal"],
    [["gateway", "--port-offset", "-1"], "expected a whole number from 0 to 65535"],
    [["keys", "new", "--id", "../x"], "--id is made of letters, digits"],
    [["keys", "old"], "unknown command 'old'"],
    [["access", "explain", "ann", "publish", "a"], '"ann" names nobody; write user:NAME'],
    [["passwd", "--user", ""], "--user is empty"],
    [["token", "new", "x", "--scope", "all"], "Allowed choices are publish, subscribe, admin"],
  ])("%j is used wrongly: exit code 2", async (args, complaint) => {
    using folder = testFolder();
    const key = folder.file("key.json", VECTOR_KEY);
    const { code, stdout, stderr } = await nomq(args.map((arg) => (arg === "KEY" ? key : arg))).ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(complaint);
  });

  test("without a gateway the commands that need one fail and say what to do", async () => {
    using folder = testFolder();
    for (const args of [["pub", "a", "b"], ["sub", "a"], ["unknown"], ["name", "abcdef01", "a"]]) {
      const { code, stderr } = await nomq(args, { cwd: folder.path }).ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^gateway-unreachable: no gateway answers at .*data\/control\.sock \(ENOENT\); start one/,
      );
    }
  });
});

describe("nomq keys new", () => {
  test("prints a key as JSON", async () => {
    const { code, stdout } = await nomq(["keys", "new", "--id", "green"]).ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      id: "green",
      encryption: expect.stringMatching(/^[0-9a-f]{64}$/),
      mac: expect.stringMatching(/^[0-9a-f]{64}$/),
      dialect: "auto",
    });
  });

  test("--out writes a file that only its owner can read, and never overwrites one", async () => {
    using folder = testFolder();
    const path = join(folder.path, "site.json");
    expect(await nomq(["keys", "new", "--out", path]).ended).toMatchObject({ code: 0, stdout: "" });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const before = readFileSync(path, "utf8");
    expect((await nomq(["keys", "new", "--out", path]).ended).code).toBe(1);
    expect(readFileSync(path, "utf8")).toBe(before);
  });
});

describe("nomq check", () => {
  test("a good file: 0", async () => {
    using folder = testFolder();
    const file = folder.file("gateway.yaml", "version: 1\n");
    expect(await nomq(["check", file]).ended).toEqual({ code: 0, stdout: `${file} is valid\n`, stderr: "" });
  });

  test("a bad file: 1, every fault on a line of its own, or as JSON", async () => {
    using folder = testFolder();
    folder.file("gateway.yaml", "nomq:\n  pase: 1\ncoap: { psk: [{ id: a, key: b }] }\n");
    const plain = await nomq(["check", "gateway.yaml"], { cwd: folder.path }).ended;
    expect(plain).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "config-invalid: 2 faults\n" +
        "  gateway.yaml:2:3: nomq.pase: is not a known key; did you mean pace?\n" +
        "  gateway.yaml:3:9: coap.psk: not available yet (DTLS with pre-shared keys); remove it\n",
    });
    const json = await nomq(["check", "gateway.yaml", "--json"], { cwd: folder.path }).ended;
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      file: "gateway.yaml",
      valid: false,
      faults: [
        {
          path: "nomq.pase",
          line: 2,
          column: 3,
          reason: "is not a known key",
          suggestion: "did you mean pace?",
        },
        { path: "coap.psk", line: 3, notYet: true },
      ],
    });
  });

  test("a missing file: 1", async () => {
    const { code, stderr } = await nomq(["check", "/nonexistent/gateway.yaml"]).ended;
    expect(code).toBe(1);
    expect(stderr).toBe("config-invalid: /nonexistent/gateway.yaml: (file): cannot be read (ENOENT)\n");
  });
});

describe("nomq decode", () => {
  test("with the key: every field and the message", async () => {
    using folder = testFolder();
    const key = folder.file("key.json", VECTOR_KEY);
    const { code, stdout } = await nomq(["decode", "-", "--key", key, "--json"], { input: HELLO }).ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      verdict: "accepted",
      key: "vectors",
      dialect: "micropython",
      bytes: HELLO.length / 2,
      type: "PUBLISH",
      flags: "0x00",
      qos: 0,
      retain: false,
      priority: 0,
      sender: "device",
      packetId: "00001001",
      sessionId: "5e551001",
      ttl: 3_600,
      timestamp: 1_760_000_000,
      clock: "2025-10-09T08:53:20Z (epoch 1970) or 2055-10-09T08:53:20Z (epoch 2000)",
      channelId: expect.stringMatching(/^10392c036a1aa8ddfa2/) && expect.any(String),
      nonce: "abcd1001",
      innerTimestamp: "1760000000",
      layout: 16,
      payload: "hello",
    });
  });

  test("with another key: refused, and the clear header is shown", async () => {
    using folder = testFolder();
    const other = JSON.stringify({ id: "other", encryption: "0".repeat(64), mac: "0".repeat(64) });
    const key = folder.file("key.json", other);
    const { code, stdout } = await nomq(["decode", HELLO, "--key", key]).ended;
    expect(code).toBe(1);
    expect(stdout).toMatch(/^verdict +refused\nreason +bad-mac\nwhy +no configured key fits\n/);
    expect(stdout).toMatch(/packetId +00001001\n/);
    expect(stdout).not.toContain("hello");
  });

  test("without a key: the header, and that it proves nothing", async () => {
    const { code, stdout } = await nomq(["decode", HELLO]).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^verdict +sealed\nwhy +give --key to check and open it; the header alone proves nothing\n/,
    );
  });

  test.each([
    ["4e4d01", "shorter than any packet"],
    [`${"00".repeat(200)}`, "does not begin with NM"],
    [`4e4d02${"00".repeat(200)}`, "another protocol version"],
    [HELLO.slice(0, -2), "payload length does not match the datagram"],
  ])("says why %.12s… is refused", async (hex, why) => {
    const { code, stdout } = await nomq(["decode", hex, "--json"]).ended;
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: "refused", reason: "malformed", why });
  });
});
