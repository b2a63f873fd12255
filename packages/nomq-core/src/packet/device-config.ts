import { createCipheriv, createDecipheriv } from "node:crypto";
import { BLOCK_BYTES } from "./cipher.ts";
import { pooledRandom } from "./random.ts";

/** What a MicroPython device's `nomq_config.json` holds; absent keys take the device's defaults. */
export interface DeviceConfig {
  /** Address to bind. The device's default: `0.0.0.0`. */
  readonly ip?: string;
  /** The device's default: 8888. */
  readonly port?: number;
  /** The device's default: false. */
  readonly useIpv6?: boolean;
  /** 64 hex digits. */
  readonly encryptionKey?: string;
  /** 64 hex digits. */
  readonly hmacKey?: string;
}

/** What {@link decodeDeviceConfig} returns; `detail` names what is wrong without showing the content. */
export type DeviceConfigResult =
  | { readonly ok: true; readonly config: DeviceConfig }
  | { readonly ok: false; readonly detail: string };

// SHA-256 of "nomq_config_key": the same in every device, so the file is obfuscated, not protected.
const CONFIG_KEY = Buffer.from("35149d1adaa8ee0d35a4d84425124f408ddf41f05c6c9700fd66089befc3ea3e", "hex");
const ALGORITHM = "aes-256-cbc";
const STANDARD_BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const HEX_KEY = /^[0-9a-fA-F]{64}$/;

/**
 * Writes the file a MicroPython device loads (protocol.md section 9). Anyone who has the file can read it.
 * `iv` defaults to 16 random bytes.
 */
export function encodeDeviceConfig(config: DeviceConfig, iv: Uint8Array = freshIv()): string {
  const cipher = createCipheriv(ALGORITHM, CONFIG_KEY, iv);
  const sealed = Buffer.concat([iv, cipher.update(toJson(config), "utf8"), cipher.final()]);
  return `${sealed.toString("base64")}\n`;
}

/** Reads such a file as the device does: white space and line breaks are ignored, and so are unknown keys. */
export function decodeDeviceConfig(file: string): DeviceConfigResult {
  const text = file.replace(/\s+/g, "");
  if (!STANDARD_BASE64.test(text) || text.length % 4 !== 0) return failed("not base64");
  const sealed = Buffer.from(text, "base64");
  if (sealed.length < 2 * BLOCK_BYTES || sealed.length % BLOCK_BYTES !== 0) return failed("wrong length");
  try {
    const decipher = createDecipheriv(ALGORITHM, CONFIG_KEY, sealed.subarray(0, BLOCK_BYTES));
    const json = Buffer.concat([decipher.update(sealed.subarray(BLOCK_BYTES)), decipher.final()]);
    return fromJson(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json)));
  } catch {
    return failed("not a configuration of a device");
  }
}

const NAMES = {
  ip: "ip",
  port: "port",
  useIpv6: "use_ipv6",
  encryptionKey: "encryption_key",
  hmacKey: "hmac_key",
} as const;

function failed(detail: string): DeviceConfigResult {
  return { ok: false, detail };
}

function freshIv(): Uint8Array {
  const iv = new Uint8Array(BLOCK_BYTES);
  pooledRandom(iv);
  return iv;
}

// Spaced as MicroPython's json.dumps does, ASCII only: its json.loads does not join surrogate escapes.
function toJson(config: DeviceConfig): string {
  const pairs: string[] = [];
  for (const field of ["ip", "port", "useIpv6", "encryptionKey", "hmacKey"] as const) {
    const value = config[field];
    if (value !== undefined) pairs.push(`"${NAMES[field]}": ${JSON.stringify(value)}`);
  }
  return `{${pairs.join(", ")}}`;
}

function fromJson(value: unknown): DeviceConfigResult {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return failed("not a JSON object");
  const found = new Map<string, unknown>(Object.entries(value));
  const ip = found.get(NAMES.ip);
  const port = found.get(NAMES.port);
  const useIpv6 = found.get(NAMES.useIpv6);
  const encryptionKey = found.get(NAMES.encryptionKey);
  const hmacKey = found.get(NAMES.hmacKey);
  if (!isAbsentOr(ip, (it) => typeof it === "string")) return failed("ip is not text");
  if (!isAbsentOr(port, isPort)) return failed("port is not a number from 0 to 65535");
  if (!isAbsentOr(useIpv6, (it) => typeof it === "boolean")) return failed("use_ipv6 is not true or false");
  if (!isAbsentOr(encryptionKey, isHexKey)) return failed("encryption_key is not 64 hex digits");
  if (!isAbsentOr(hmacKey, isHexKey)) return failed("hmac_key is not 64 hex digits");
  return {
    ok: true,
    config: {
      ...(ip !== undefined && { ip }),
      ...(port !== undefined && { port }),
      ...(useIpv6 !== undefined && { useIpv6 }),
      ...(encryptionKey !== undefined && { encryptionKey }),
      ...(hmacKey !== undefined && { hmacKey }),
    },
  };
}

function isAbsentOr<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value);
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535;
}

function isHexKey(value: unknown): value is string {
  return typeof value === "string" && HEX_KEY.test(value);
}
