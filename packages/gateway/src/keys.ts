import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { codeOf, type Key, NomqError } from "@nomq/core";
import { z } from "zod";
import type { KeyConfig } from "./config/config.ts";
import { pathText } from "./config/faults.ts";
import { name } from "./config/fields.ts";
import { GENERATED_KEY_ID } from "./config/nomq-section.ts";
import { refuseWeakKey } from "./weak-keys.ts";

const half = z.string().regex(/^[0-9a-fA-F]{64}$/, { error: "expected 64 hexadecimal digits" });

const keyFile: z.ZodType<KeyConfig> = z.strictObject({
  id: name,
  encryption: half,
  mac: half,
  dialect: z.enum(["micropython", "standard", "auto"]).default("auto"),
});

/** A fresh random key. */
export function newKey(id: string = GENERATED_KEY_ID): KeyConfig {
  return {
    id,
    encryption: randomBytes(32).toString("hex"),
    mac: randomBytes(32).toString("hex"),
    dialect: "auto",
  };
}

/** The key as a file holds it: one line of JSON. */
export function keyText(key: KeyConfig): string {
  return `${JSON.stringify(key)}\n`;
}

/** Reads a key file. Throws {@link NomqError} `key-invalid`, which never shows what the file holds. */
export function readKeyFile(path: string): KeyConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    // A syntax error of JSON.parse quotes the text: it must not be passed on.
    const why = error instanceof SyntaxError ? "it is not JSON" : codeOf(error);
    throw new NomqError("key-invalid", `cannot read the key file ${path}: ${why}; nomq keys new makes one`);
  }
  const result = keyFile.safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined ? "" : `${pathText(issue.path)}: ${issue.message}`;
  throw new NomqError("key-invalid", `the key file ${path} is not a key: ${where}`);
}

/** Writes a key to a new file that only its owner may read. Throws `key-invalid` if the file exists already. */
export function writeKeyFile(path: string, key: KeyConfig): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.new`;
  writeFileSync(draft, keyText(key), { mode: 0o600, flag: "wx", flush: true });
  try {
    // link, unlike rename, fails where a key stands already: no key is ever overwritten.
    linkSync(draft, path);
  } catch (error) {
    throw new NomqError("key-invalid", `cannot write ${path} (${codeOf(error)}); no key was changed`);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The keys in a folder `keys/`, one file each, in the order of their names; none where there is no folder. */
export function keysIn(folder: string): KeyConfig[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((each) => each.endsWith(".json"))
    .sort()
    .map((each) => {
      const key = readKeyFile(join(folder, each));
      if (key.id === basename(each, ".json")) return key;
      throw new NomqError(
        "key-invalid",
        `${join(folder, each)} holds the key ${key.id}; name it ${key.id}.json`,
      );
    });
}

/** The keys in effect and where they come from. */
export interface KeysInEffect {
  readonly keys: readonly KeyConfig[];
  readonly from: "configuration" | "generated" | "folder" | "memory";
  /** The file or folder a person copies a device's key from. */
  readonly path?: string;
}

/**
 * The configured keys; else those in `DATA/keys/`; else a new one, kept there (mode 0600 in a 0700 folder), or
 * only in memory with `data: memory`.
 */
export function keysInEffect(configured: readonly KeyConfig[] | undefined, data: string): KeysInEffect {
  if (configured !== undefined) return { keys: configured, from: "configuration" };
  if (data === "memory") return { keys: [newKey()], from: "memory" };
  const folder = join(data, "keys");
  makeFolder(folder);
  // Also where it was made by hand, or copied, with more rights than it should have.
  if ((statSync(folder).mode & 0o077) !== 0) chmodSync(folder, 0o700);
  const found = keysIn(folder);
  for (const key of found) refuseWeakKey(key, join(folder, `${key.id}.json`));
  if (found.length > 0) return { keys: found, from: "folder", path: folder };
  const path = join(folder, `${GENERATED_KEY_ID}.json`);
  const key = newKey();
  writeKeyFile(path, key);
  return { keys: [key], from: "generated", path };
}

/** Makes a folder, for its owner alone; one that exists keeps its rights. */
export function makeFolder(folder: string): void {
  try {
    makeWithParents(resolve(folder));
  } catch (error) {
    throw new NomqError("store-failed", `cannot make the folder ${folder} (${codeOf(error)})`, {
      cause: error,
    });
  }
}

// Not mkdir's `recursive`: where the system answers ENOENT although the parent is there (/proc), it tries for ever.
function makeWithParents(folder: string): void {
  if (isFolder(folder)) return;
  const parent = dirname(folder);
  if (!existsSync(parent)) makeWithParents(parent);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another start may have made it meanwhile.
    if (!isFolder(folder)) throw error;
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** The key as the packet codec takes it. */
export function bytesOfKey({ id, encryption, mac, dialect }: KeyConfig): Key {
  return { id, encryption: Buffer.from(encryption, "hex"), mac: Buffer.from(mac, "hex"), dialect };
}
