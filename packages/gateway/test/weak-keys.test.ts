import { join } from "node:path";
import { encodeDeviceConfig } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { inspectConfig } from "../src/config/load.ts";
import { keysInEffect, keyText, newKey } from "../src/keys.ts";
import { warningOf, weaknessOf } from "../src/weak-keys.ts";
import { launchGateway, nomq, testFolder } from "./launch.ts";

const { encryption, mac } = newKey();
const SAMPLE = { encryption: "0123456789abcdef".repeat(4), mac: "abcdef0123456789".repeat(4) };
const FIRST_VERSION = Buffer.from("NoMQSecureKey123NoMQSecureKey123").toString("hex");
const PAGE = {
  encryption: "29eda8f84000bd3ee3c37b8e8e708b6711fd20f5ca4a79a98f9bf866a96c25b1",
  mac: "4cdb42d6c5580ecd949e9c43892cffca76f7b83c8bcb2d163e7700ff2e1e3a87",
};
const TEST_KEY = {
  encryption: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  mac: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
};

const WEAK = [
  ["the original's sample", SAMPLE, "encryption", "sample key that everyone can read in the original's"],
  ["its encryption half", { ...SAMPLE, mac }, "encryption", "the original's sample configuration"],
  ["its MAC half in capitals", { encryption, mac: SAMPLE.mac.toUpperCase() }, "mac", "the original's sample"],
  [
    "the first version's key",
    { encryption: FIRST_VERSION, mac },
    "encryption",
    "the original's first version",
  ],
  ["the example of docs/protocol.md", PAGE, "encryption", "docs/protocol.md"],
  ["its MAC half", { encryption, mac: PAGE.mac }, "mac", "docs/protocol.md"],
  ["zeros", { encryption: "0".repeat(64), mac }, "encryption", "is all zeros"],
  ["a MAC key of zeros", { encryption, mac: "0".repeat(64) }, "mac", "is all zeros"],
] as const;

describe.each(WEAK)("%s", (_what, key, half, reason) => {
  test("in gateway.yaml is a fault with its path, its reason and what to do", () => {
    const text = `nomq: { keys: [${JSON.stringify({ id: "site", ...key })}] }`;
    const result = inspectConfig({ name: "gateway.yaml", text, folder: "/" });
    expect(result).toMatchObject({ ok: false, faults: [{ path: `nomq.keys[0].${half}` }] });
    const said = result.ok ? "" : result.error.message;
    expect(said).toContain(reason);
    expect(said).toContain("nomq keys new");
    expect(said).not.toContain(key[half]);
  });

  test("in the data folder ends the start", () => {
    using folder = testFolder();
    keysInEffect(undefined, folder.path);
    const file = folder.file("keys/site.json", keyText({ id: "site", dialect: "auto", ...key }));
    expect(() => keysInEffect(undefined, folder.path)).toThrow(`${file}: the ${half} key of site`);
  });

  test("is written for no device, and a device that has it is told", async () => {
    using folder = testFolder();
    const file = folder.file("site.json", keyText({ id: "site", dialect: "auto", ...key }));
    const written = await nomq(["device-config", "--key", file]).ended;
    expect(written).toMatchObject({ code: 1, stdout: "" });
    expect(written.stderr).toContain(reason);
    const input = encodeDeviceConfig({ encryptionKey: key.encryption, hmacKey: key.mac });
    const read = await nomq(["device-config", "--read", "-", "--json"], { input }).ended;
    expect(JSON.parse(read.stdout)).toMatchObject({ warning: expect.stringContaining(reason) });
  });
});

test("a key of one's own is fine", () => {
  for (let run = 0; run < 20; run += 1)
    expect([weaknessOf(newKey()), warningOf(newKey())]).toEqual([undefined, undefined]);
});

test("the vectors' key, which tests run with, is taken and told in the log", async () => {
  using folder = testFolder();
  expect(weaknessOf(TEST_KEY)).toBeUndefined();
  const keys = JSON.stringify([{ id: "trial", ...TEST_KEY }]);
  await using gateway = await launchGateway({
    folder,
    config: `data: ${join(folder.path, "data")}\nnomq: { listen: ['udp://127.0.0.1:0'], keys: ${keys} }\n`,
  });
  await gateway.said("test vectors: everyone has it", "stderr");
});

test("one half twice, which boards may have already, is taken with a warning", () => {
  const twice = { encryption, mac: encryption.toUpperCase() };
  expect(weaknessOf(twice)).toBeUndefined();
  expect(warningOf(twice)).toContain("the same half twice");
});
