import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { keysInEffect, keyText, makeFolder, newKey, readKeyFile, writeKeyFile } from "../src/keys.ts";
import { testFolder } from "./launch.ts";

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("keys in effect", () => {
  test("the first start makes one, which only its owner can read, and later starts find it", () => {
    using folder = testFolder();
    const data = join(folder.path, "data");
    const first = keysInEffect(undefined, data);
    const file = join(data, "keys", "site.json");
    expect(first).toMatchObject({ from: "generated", path: file });
    expect(modeOf(file)).toBe("600");
    expect(modeOf(join(data, "keys"))).toBe("700");
    expect(readdirSync(join(data, "keys"))).toEqual(["site.json"]);
    expect(keysInEffect(undefined, data)).toEqual({
      keys: first.keys,
      from: "folder",
      path: join(data, "keys"),
    });
  });

  test("a folder that others could enter is closed to them", () => {
    using folder = testFolder();
    chmodSync(folder.path, 0o755);
    keysInEffect(undefined, folder.path);
    chmodSync(join(folder.path, "keys"), 0o777);
    expect(keysInEffect(undefined, folder.path).from).toBe("folder");
    expect(modeOf(join(folder.path, "keys"))).toBe("700");
  });

  test("configured keys are used and none is made", () => {
    using folder = testFolder();
    const key = newKey("mine");
    expect(keysInEffect([key], folder.path)).toEqual({ keys: [key], from: "configuration" });
    expect(existsSync(join(folder.path, "keys"))).toBe(false);
  });

  test("with data: memory a key is made and written nowhere", () => {
    expect(keysInEffect(undefined, "memory")).toMatchObject({ from: "memory", keys: [{ id: "site" }] });
  });

  test("two keys are never the same", () => {
    expect(newKey().encryption).not.toBe(newKey().encryption);
    expect(newKey().mac).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("key files", () => {
  test("a written key reads back, and nothing overwrites it", () => {
    using folder = testFolder();
    const path = join(folder.path, "site.json");
    const key = newKey();
    writeKeyFile(path, key);
    expect(readKeyFile(path)).toEqual(key);
    expect(() => writeKeyFile(path, newKey())).toThrow(/^key-invalid: cannot write .*site\.json \(EEXIST\)/);
    expect(readKeyFile(path)).toEqual(key);
    expect(readdirSync(folder.path)).toEqual(["site.json"]);
  });

  test.each([
    ["not JSON", "{ secret", "it is not JSON"],
    [
      "a half that is too short",
      '{"id":"a","encryption":"secret","mac":"secret"}',
      "encryption: expected 64",
    ],
    ["no object", "[]", "is not a key"],
  ])("%s is refused without showing what the file holds", (_what, text, reason) => {
    using folder = testFolder();
    const path = folder.file("bad.json", text);
    expect(() => readKeyFile(path)).toThrow(reason);
    expect(() => readKeyFile(path)).not.toThrow(/secret/);
  });

  test("a file whose name is not its key's is refused: devices are told files by name", () => {
    using folder = testFolder();
    keysInEffect(undefined, folder.path);
    folder.file("keys/other.json", keyText(newKey("third")));
    expect(() => keysInEffect(undefined, folder.path)).toThrow(/holds the key third; name it third\.json/);
  });

  test("the dialect may be left out", () => {
    using folder = testFolder();
    const { encryption, mac } = newKey();
    const path = folder.file("a.json", JSON.stringify({ id: "a", encryption, mac }));
    expect(readKeyFile(path).dialect).toBe("auto");
    expect(readFileSync(path, "utf8")).not.toContain("dialect");
  });
});

describe("data folder", () => {
  test("is made with the folders above it, for its owner alone", () => {
    using folder = testFolder();
    const data = join(folder.path, "a", "b");
    makeFolder(data);
    makeFolder(data);
    expect([modeOf(join(folder.path, "a")), modeOf(data)]).toEqual(["700", "700"]);
  });

  test.skipIf(!existsSync("/proc/self"))("where no folder can be made, the start ends at once", () => {
    expect(() => makeFolder("/proc/no-such/data")).toThrow(/^store-failed: .*\/proc\/no-such\/data/);
  });
});
