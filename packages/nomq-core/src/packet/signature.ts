import { hash } from "node:crypto";

/**
 * What a device's `gen_signature` returns: hex SHA-256 over the message and the MAC key. It never goes on the
 * wire; device programs check it among themselves.
 */
export function genSignature(message: string | Uint8Array, macKey: Uint8Array): string {
  const bytes = typeof message === "string" ? Buffer.from(message, "utf8") : message;
  return hash("sha256", Buffer.concat([bytes, macKey]), "hex");
}
