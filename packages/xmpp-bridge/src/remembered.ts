import { randomBytes } from "node:crypto";
import type { Port } from "@nomq/core";
import type { Expiries } from "./publishing/expiries.ts";

const GATEWAY_KEY = "gateway";
const GATEWAY_NAME = /^[0-9a-f]{16}$/;

/**
 * Reads what earlier runs wrote down: the ends of items that are planned, and this gateway's name, which is made up in
 * its first run. It is in every item, and the resource of its address: the same after each restart.
 */
export async function restoreOwn(port: Port, expiries: Expiries): Promise<string> {
  let gateway: string | undefined;
  for await (const [key, value] of port.state()) {
    if (expiries.restore(key, value, port.clockSetBy())) continue;
    const text = Buffer.from(value).toString();
    if (Buffer.from(key).toString() === GATEWAY_KEY && GATEWAY_NAME.test(text)) gateway = text;
  }
  if (gateway !== undefined) return gateway;
  const made = randomBytes(8).toString("hex");
  await port.remember([{ key: Buffer.from(GATEWAY_KEY), value: Buffer.from(made) }]);
  return made;
}
