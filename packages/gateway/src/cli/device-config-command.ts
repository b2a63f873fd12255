import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { codeOf, type DeviceConfig, decodeDeviceConfig, encodeDeviceConfig, NomqError } from "@nomq/core";
import type { KeyConfig } from "../config/config.ts";
import { keysIn, readKeyFile } from "../keys.ts";
import { refuseWeakKey, warningOf, weaknessOf } from "../weak-keys.ts";
import { type PlaceOptions, placedConfig } from "./place.ts";
import { readStdin } from "./stdin.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq device-config`. */
export interface DeviceConfigOptions extends PlaceOptions {
  readonly key?: string;
  readonly id?: string;
  readonly ip: string;
  readonly port: number;
  readonly out?: string;
  readonly force?: boolean;
  readonly read?: string;
  readonly showKeys?: boolean;
  readonly json?: boolean;
}

/** `nomq device-config`: writes what a MicroPython device loads (protocol.md section 9), or reads it back. */
export async function runDeviceConfig(options: DeviceConfigOptions): Promise<number> {
  if (options.read !== undefined) return show(options.read, options);
  if (options.showKeys === true || options.json === true) {
    throw new UsageError("--show-keys and --json go with --read FILE");
  }
  if (options.force === true && options.out === undefined)
    throw new UsageError("--force goes with --out FILE");
  const ip = addressFor(options.ip);
  const key = keyFor(options);
  const text = encodeDeviceConfig({
    ip,
    port: options.port,
    useIpv6: false,
    encryptionKey: key.encryption.toLowerCase(),
    hmacKey: key.mac.toLowerCase(),
  });
  if (options.out === undefined) process.stdout.write(text);
  else write(options.out, text, options.force === true);
  const what = options.out ?? "what was printed";
  process.stderr.write(
    `${what} holds the key ${key.id}, readable for anyone who gets it: copy it to the device, delete it here\n`,
  );
  return 0;
}

/** An IPv4 address of the board itself: what its program binds. */
function addressFor(text: string): string {
  if (isIP(text) === 4) return text;
  if (isIP(text) === 6) {
    throw new UsageError(
      `--ip ${text}: the program on a MicroPython board cannot bind an IPv6 address; give IPv4`,
    );
  }
  throw new UsageError("--ip expects the board's own IPv4 address, or 0.0.0.0 for any");
}

/** The key to hand out: `--key`, else the gateway's own. Throws `key-invalid` for one that no device should have. */
function keyFor(options: DeviceConfigOptions): KeyConfig {
  const { key, where } = options.key === undefined ? gatewayKey(options) : fileKey(options.key, options);
  refuseWeakKey(key, where);
  if (key.dialect === "standard") {
    throw new NomqError(
      "key-invalid",
      `${where}: the key ${key.id} is for the standard dialect, which no MicroPython device speaks`,
    );
  }
  const warning = warningOf(key);
  if (warning !== undefined) process.stderr.write(`the key ${key.id} ${warning}\n`);
  return key;
}

interface Found {
  readonly key: KeyConfig;
  readonly where: string;
}

function fileKey(file: string, { id }: DeviceConfigOptions): Found {
  const key = readKeyFile(file);
  if (id === undefined || id === key.id) return { key, where: file };
  throw new UsageError(`${file} holds the key ${key.id}, not ${id}`);
}

function gatewayKey(options: DeviceConfigOptions): Found {
  const { config, file } = placedConfig(options);
  const where = config.nomq.keys === undefined ? join(config.data, "keys") : (file ?? "(defaults)");
  if (config.nomq.keys === undefined && config.data === "memory") {
    throw new UsageError("with data: memory the key is in no file; give one with --key FILE");
  }
  const keys = config.nomq.keys ?? keysIn(join(config.data, "keys"));
  const ids = keys.map(({ id }) => id);
  if (options.id === undefined && keys.length > 1) {
    throw new UsageError(`${where} has several keys; say which with --id: ${ids.join(", ")}`);
  }
  const key = options.id === undefined ? keys[0] : keys.find(({ id }) => id === options.id);
  if (key !== undefined) return { key, where };
  throw new NomqError(
    "key-invalid",
    keys.length === 0
      ? `no key in ${where} yet: start the gateway once, or make one with nomq keys new --out FILE and give it as --key`
      : `${where} has no key ${options.id}; it has ${ids.join(", ")}`,
  );
}

/** Writes a file for its owner alone. A half-written one is never seen, and without `force` none is overwritten. */
function write(path: string, text: string, force: boolean): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.new`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flag: "wx", flush: true });
    if (force) renameSync(draft, path);
    else linkSync(draft, path);
  } catch (error) {
    const why = codeOf(error);
    const advice = why === "EEXIST" ? "it exists; --force overwrites it" : why;
    throw new NomqError("key-invalid", `cannot write ${path} (${advice})`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

async function show(path: string, options: DeviceConfigOptions): Promise<number> {
  if (options.out !== undefined) throw new UsageError("--read and --out exclude each other");
  const result = decodeDeviceConfig(await contentOf(path));
  if (!result.ok) throw new NomqError("key-invalid", `${path} is no device configuration: ${result.detail}`);
  const fields = fieldsOf(result.config, options);
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  const lines = Object.entries(fields).map(([name, value]) => `${name.padEnd(width)}  ${value}\n`);
  process.stdout.write(options.json === true ? `${JSON.stringify(fields)}\n` : lines.join(""));
  return 0;
}

async function contentOf(path: string): Promise<string> {
  if (path === "-") return (await readStdin()).toString("latin1");
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    throw new NomqError("key-invalid", `cannot read ${path} (${codeOf(error)})`, { cause: error });
  }
}

/** In the device's own words, its defaults filled in; keys only where asked for. */
function fieldsOf(
  config: DeviceConfig,
  options: DeviceConfigOptions,
): Readonly<Record<string, string | number | boolean>> {
  const { ip = "0.0.0.0", port = 8888, useIpv6 = false, encryptionKey, hmacKey } = config;
  const told = (half: string | undefined): string => {
    if (half === undefined) return "missing: the device refuses the file";
    return options.showKeys === true ? half : "there; --show-keys shows it";
  };
  const weak =
    encryptionKey === undefined || hmacKey === undefined
      ? undefined
      : weaknessOf({ encryption: encryptionKey, mac: hmacKey });
  return {
    ip,
    port,
    use_ipv6: useIpv6,
    encryption_key: told(encryptionKey),
    hmac_key: told(hmacKey),
    ...(weak === undefined ? {} : { warning: `the ${weak.half} key ${weak.reason}` }),
    ...matchOf(config, options),
  };
}

/** With `--key` or the place of a gateway: whether the device has that very key. */
function matchOf(config: DeviceConfig, options: DeviceConfigOptions): Readonly<Record<string, string>> {
  if (options.key === undefined) return {};
  const { key } = fileKey(options.key, options);
  const same =
    key.encryption.toLowerCase() === config.encryptionKey?.toLowerCase() &&
    key.mac.toLowerCase() === config.hmacKey?.toLowerCase();
  return { key: same ? key.id : `not ${key.id}` };
}
