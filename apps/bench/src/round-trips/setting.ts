import { randomBytes } from "node:crypto";
import type { Key } from "@nomq/core";

/** The channel of every message. */
export const benchChannel = "bench/temperature";

/** A key as one word of a command line. */
export function writeKey(): string {
  return randomBytes(64).toString("hex");
}

/** The key that {@link writeKey} wrote. */
export function readKey(hex: string): Key {
  const bytes = Buffer.from(hex, "hex");
  return { id: "bench", encryption: bytes.subarray(0, 32), mac: bytes.subarray(32), dialect: "auto" };
}
