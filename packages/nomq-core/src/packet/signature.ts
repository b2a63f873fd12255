import { hash, timingSafeEqual } from "node:crypto";

/**
 * What a device's `gen_signature` returns: hex SHA-256 over the message and the MAC key. It never goes on the
 * wire; device programs check it among themselves.
 */
export function genSignature(message: string | Uint8Array, macKey: Uint8Array): string {
  const bytes = typeof message === "string" ? Buffer.from(message, "utf8") : message;
  return hash("sha256", Buffer.concat([bytes, macKey]), "hex");
}

/**
 * What a device's `authenticate` answers: whether the signature, as hex or as bytes, is that of the message. It proves
 * that a holder of the MAC key made it at some time, and neither who nor when. Compares in constant time.
 */
export function verifySignature(
  signature: string | Uint8Array,
  message: string | Uint8Array,
  macKey: Uint8Array,
): boolean {
  const given = typeof signature === "string" ? Buffer.from(signature, "hex") : signature;
  const expected = Buffer.from(genSignature(message, macKey), "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
