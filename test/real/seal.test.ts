import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { open } from "./seal.ts";

// The tests' own opener and sealer must be right by someone else's word: the bytes of original devices.
const vectors = JSON.parse(
  readFileSync(new URL("../../packages/nomq-core/test/fixtures/nomq-v1.json", import.meta.url), "utf8"),
) as {
  keys: { encryption_key: string; hmac_key: string };
  send: { name: string; hex: string; fields: { type: number; plaintext: string; channel_id: string } }[];
};
const key = {
  encryption: Buffer.from(vectors.keys.encryption_key, "hex"),
  mac: Buffer.from(vectors.keys.hmac_key, "hex"),
};

test.each(vectors.send)("opens what an original device sent: $name", ({ hex, fields }) => {
  const opened = open(key, Buffer.from(hex, "hex"));
  expect(opened?.type).toBe(fields.type);
  expect(opened?.channelId).toBe(fields.channel_id);
  expect(opened?.plaintext.toString("hex")).toBe(fields.plaintext);
});
