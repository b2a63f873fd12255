import { createDecipheriv, hash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { keysInEffect, keyText, newKey } from "../src/keys.ts";
import { type Ended, nomq, testFolder } from "./launch.ts";

// Our own fixture; its shape is checked by the codec's tests.
const VECTORS = JSON.parse(
  readFileSync(new URL("../../nomq-core/test/fixtures/nomq-v1.json", import.meta.url), "utf8"),
) as {
  keys: { encryption_key: string; hmac_key: string };
  config: { vectors: { plaintext: string; file: string }[] };
};
const VECTOR_KEY = JSON.stringify({
  id: "vectors",
  encryption: VECTORS.keys.encryption_key,
  mac: VECTORS.keys.hmac_key,
});
const [FULL = { plaintext: "", file: "" }] = VECTORS.config.vectors;

const deviceConfig = (folder: string, ...args: string[]): Promise<Ended> =>
  nomq(["device-config", ...args], { cwd: folder }).ended;

/** The loader of a device, written from protocol.md section 9 alone. */
function loadAsDevice(file: string): unknown {
  const sealed = Buffer.from(file.replaceAll(/\s/g, ""), "base64");
  const key = hash("sha256", "nomq_config_key", "buffer");
  const decipher = createDecipheriv("aes-256-cbc", key, sealed.subarray(0, 16));
  const json = Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()]);
  return JSON.parse(json.toString("utf8"));
}

describe("nomq device-config", () => {
  test("the commands that its help and docs/configuration.md show work, in their order", async () => {
    using folder = testFolder();
    folder.file("site.json", keyText(newKey()));
    keysInEffect(undefined, join(folder.path, "data"));
    const { stdout } = await deviceConfig(folder.path, "--help");
    const page = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
    for (const [text, least] of [
      [stdout, 4],
      [page, 3],
    ] as const) {
      rmSync(join(folder.path, "nomq_config.json"), { force: true });
      const commands = [...text.matchAll(/^(?: {2}\$ )?nomq device-config (.*)$/gm)];
      expect(commands.length).toBeGreaterThanOrEqual(least);
      for (const [command, args = ""] of commands) {
        expect(await deviceConfig(folder.path, ...args.split(" ")), command).toMatchObject({ code: 0 });
      }
    }
  });

  test("writes for a device what the original wrote for itself", async () => {
    using folder = testFolder();
    const key = folder.file("key.json", VECTOR_KEY);
    const { code, stdout, stderr } = await deviceConfig(
      folder.path,
      ...["--key", key, "--ip", "127.0.0.1", "--port", "19999"],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
    expect(stdout).toHaveLength(FULL.file.length);
    expect(loadAsDevice(stdout)).toEqual(JSON.parse(FULL.plaintext));
    expect(stderr).toContain("test vectors: everyone has it");
  });

  test("takes the gateway's only key, and every address and port 8888, unless told otherwise", async () => {
    using folder = testFolder();
    const [key] = keysInEffect(undefined, join(folder.path, "data")).keys;
    const { stdout } = await deviceConfig(folder.path);
    expect(loadAsDevice(stdout)).toEqual({
      ip: "0.0.0.0",
      port: 8_888,
      use_ipv6: false,
      encryption_key: key?.encryption,
      hmac_key: key?.mac,
    });
  });

  test("of several keys --id says which", async () => {
    using folder = testFolder();
    const [north, south] = [newKey("north"), newKey("south")];
    folder.file("gateway.yaml", `nomq: { keys: ${JSON.stringify([north, south])} }`);
    const unsaid = await deviceConfig(folder.path);
    expect(unsaid).toMatchObject({ code: 2, stdout: "" });
    expect(unsaid.stderr).toContain("--id: north, south");
    const { stdout } = await deviceConfig(folder.path, "--id", "south");
    expect(loadAsDevice(stdout)).toMatchObject({ encryption_key: south.encryption });
    expect((await deviceConfig(folder.path, "--id", "west")).stderr).toContain("has no key west");
  });

  test("--out writes for the owner alone and overwrites only with --force", async () => {
    using folder = testFolder();
    const key = folder.file("site.json", keyText(newKey()));
    const path = join(folder.path, "nomq_config.json");
    expect(await deviceConfig(folder.path, "--key", key, "--out", path)).toMatchObject({
      code: 0,
      stdout: "",
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const first = readFileSync(path, "utf8");
    const again = await deviceConfig(folder.path, "--key", key, "--out", path);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("--force overwrites it");
    expect(readFileSync(path, "utf8")).toBe(first);
    expect((await deviceConfig(folder.path, "--key", key, "--out", path, "--force")).code).toBe(0);
    expect(readFileSync(path, "utf8")).not.toBe(first);
    expect(readdirSync(folder.path).toSorted()).toEqual(["nomq_config.json", "site.json"]);
  });

  test.each([
    [["--ip", "::1"], "cannot bind an IPv6 address"],
    [["--ip", "board.local"], "--ip expects the board's own IPv4 address"],
    [["--port", "0"], "expected a whole number from 1 to 65535"],
    [["--show-keys"], "go with --read FILE"],
    [["--force"], "--force goes with --out FILE"],
    [["--id", "other"], "holds the key site, not other"],
    [["--read", "x", "--out", "y"], "exclude each other"],
    [["--data", "memory", "--key-less"], "unknown option"],
  ])("%j is used wrongly: exit code 2", async (args, complaint) => {
    using folder = testFolder();
    const key = folder.file("site.json", keyText(newKey()));
    const { code, stdout, stderr } = await deviceConfig(folder.path, "--key", key, ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(complaint);
  });

  test("without any key it says where one comes from", async () => {
    using folder = testFolder();
    expect(await deviceConfig(folder.path)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^key-invalid: no key in .*data\/keys yet: start the gateway once/),
    });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("a key that only speaks the standard dialect is for no MicroPython device", async () => {
    using folder = testFolder();
    const key = folder.file("site.json", keyText({ ...newKey(), dialect: "standard" }));
    expect((await deviceConfig(folder.path, "--key", key)).stderr).toContain("no MicroPython device speaks");
  });
});

describe("nomq device-config --read", () => {
  const FIELDS = { ip: "127.0.0.1", port: 19_999, use_ipv6: false };

  test("shows the original's file, its keys only with --show-keys", async () => {
    using folder = testFolder();
    const file = folder.file("nomq_config.json", FULL.file);
    const hidden = await deviceConfig(folder.path, "--read", file, "--json");
    expect(JSON.parse(hidden.stdout)).toMatchObject({
      ...FIELDS,
      encryption_key: expect.stringContaining("there"),
    });
    expect(hidden.stdout).not.toContain(VECTORS.keys.encryption_key);
    const shown = await deviceConfig(folder.path, "--read", file, "--json", "--show-keys");
    expect(JSON.parse(shown.stdout)).toEqual({ ...FIELDS, ...VECTORS.keys });
  });

  test("says whether the device has a given key", async () => {
    using folder = testFolder();
    const file = folder.file("nomq_config.json", FULL.file);
    const same = folder.file("vectors.json", VECTOR_KEY);
    const other = folder.file("site.json", keyText(newKey()));
    const says = async (key: string): Promise<unknown> =>
      JSON.parse((await deviceConfig(folder.path, "--read", file, "--key", key, "--json")).stdout);
    expect(await says(same)).toMatchObject({ key: "vectors" });
    expect(await says(other)).toMatchObject({ key: "not site" });
  });

  test("reads standard input; absent fields are the device's defaults, and missing keys are said", async () => {
    const [, short = FULL] = VECTORS.config.vectors;
    const { code, stdout } = await nomq(["device-config", "--read", "-"], { input: short.file }).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ip +0\.0\.0\.0\nport +8888\nuse_ipv6 +false\nencryption_key +missing/);
  });

  test.each([
    ["no base64", "%%%%", "not base64"],
    ["the IV alone, which crashes a device", Buffer.alloc(16).toString("base64"), "wrong length"],
    ["another key", Buffer.alloc(48, 5).toString("base64"), "not a configuration of a device"],
  ])("%s: 1, with the reason", async (_what, text, reason) => {
    const { code, stdout, stderr } = await nomq(["device-config", "--read", "-"], { input: text }).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(reason);
  });

  test("a missing file: 1", async () => {
    using folder = testFolder();
    expect((await deviceConfig(folder.path, "--read", "none.json")).stderr).toContain(
      "cannot read none.json (ENOENT)",
    );
  });
});
