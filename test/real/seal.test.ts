import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { open } from "./seal.ts";
import { vectorKey } from "./vectors.ts";

// The tests' own opener and sealer must be right by someone else's word: the bytes of original devices.
const { send } = JSON.parse(
  readFileSync(new URL("../../packages/nomq-core/test/fixtures/nomq-v1.json", import.meta.url), "utf8"),
) as {
  send: { name: string; hex: string; fields: { type: number; plaintext: string; channel_id: string } }[];
};

test.each(send)("opens what an original device sent: $name", ({ hex, fields }) => {
  const opened = open(vectorKey, Buffer.from(hex, "hex"));
  expect(opened?.type).toBe(fields.type);
  expect(opened?.channelId).toBe(fields.channel_id);
  expect(opened?.plaintext.toString("hex")).toBe(fields.plaintext);
});
