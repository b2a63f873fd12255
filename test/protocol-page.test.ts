import { createCipheriv, createHash, createHmac } from "node:crypto";
import {
  createKeyRing,
  createNomqNode,
  createPacketKey,
  type Decoded,
  decodePacket,
  type Endpoint,
  encodePacket,
  type Key,
  type RandomSource,
} from "@nomq/core";
import { createFakeClock, createMemoryNetwork, createV1Device } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { nomq, testFolder } from "../packages/gateway/test/launch.ts";
import { blocksIn, readPage } from "./real/pages.ts";

const PAGE = "docs/protocol.md";
const CHANNEL = "greenhouse/temperature";
const MESSAGE = "21.5";

/** One row of a table of bytes. */
interface Row {
  readonly at: number;
  readonly bytes: number;
  readonly hex: string;
  readonly field: string;
}

/** The tables of bytes below a heading, in their order. */
function tablesBelow(heading: string): readonly (readonly Row[])[] {
  const [, section = ""] = readPage(PAGE).split(`### ${heading}`);
  const [text = ""] = section.split(/^##/m);
  const tables: Row[][] = [];
  for (const [, at, bytes, hex = "", field = ""] of text.matchAll(
    /^\| (\d+) \| (\d+) \| `([0-9a-f]+)` \| ([^|]+) \|/gm,
  )) {
    if (at === "0") tables.push([]);
    tables.at(-1)?.push({ at: Number(at), bytes: Number(bytes), hex, field });
  }
  return tables;
}

const joined = (rows: readonly Row[]): string => rows.map(({ hex }) => hex).join("");
const ofField = (rows: readonly Row[], name: string): Buffer =>
  Buffer.from(rows.find(({ field }) => field === name)?.hex ?? "", "hex");

const [publishPlain = [], publish = []] = tablesBelow("12a.");
const [ack = []] = tablesBelow("12b.");
const [standard = []] = tablesBelow("12c.");
const [filledPlain = []] = tablesBelow("12d.");

const [keyBlock] = blocksIn(PAGE, "json");
// The page's own block, which the command reads as well.
const keyFile = JSON.parse(keyBlock?.text ?? "{}") as { id: string; encryption: string; mac: string };
const key: Key = {
  id: keyFile.id,
  encryption: Buffer.from(keyFile.encryption, "hex"),
  mac: Buffer.from(keyFile.mac, "hex"),
  dialect: "auto",
};

function decoded(rows: readonly Row[]): Decoded {
  const result = decodePacket(Buffer.from(joined(rows), "hex"), createKeyRing([key]));
  if (!result.ok) throw new Error(result.detail);
  return result;
}

/** PKCS#7 by hand and AES without padding, so that nothing is left to the codec's or OpenSSL's idea of it. */
function encrypted(plain: Buffer, iv: Buffer): string {
  const cipher = createCipheriv("aes-256-cbc", key.encryption, iv).setAutoPadding(false);
  return Buffer.concat([cipher.update(plain), cipher.final()]).toString("hex");
}

function padded(plain: Buffer): Buffer {
  const count = 16 - (plain.length % 16);
  return Buffer.concat([plain, Buffer.alloc(count, count)]);
}

describe.each([
  ["12a", "plaintext", publishPlain, 32],
  ["12a", "datagram", publish, 133],
  ["12b", "datagram", ack, 117],
  ["12c", "datagram", standard, 117],
  ["12d", "plaintext", filledPlain, 32],
] as const)("section %s, %s", (_section, _what, rows, length) => {
  test("its rows follow one another without a gap", () => {
    let at = 0;
    for (const row of rows) {
      expect(row).toMatchObject({ at, bytes: row.hex.length / 2 });
      at += row.bytes;
    }
    expect(at).toBe(length);
  });
});

describe.each([
  ["12a", publish, "micropython", joined(publishPlain)],
  ["12b", ack, "micropython", padded(ofField(ack, "packet id")).toString("hex")],
  ["12c", standard, "standard", joined(publishPlain)],
] as const)("the datagram of section %s", (_section, rows, dialect, plain) => {
  const isDoubled = dialect === "micropython";
  const sealed = Buffer.from(joined(rows.slice(0, -1)), "hex");

  test("computed from the primitives", () => {
    const iv = ofField(rows, "IV");
    expect(encrypted(Buffer.from(plain, "hex"), iv)).toBe(ofField(rows, "ciphertext").toString("hex"));
    if (isDoubled) expect(ofField(rows, "IV again")).toEqual(iv);
    const mac = isDoubled
      ? createHash("sha256").update(sealed).update(key.mac)
      : createHmac("sha256", key.mac).update(sealed);
    expect(mac.digest()).toEqual(ofField(rows, "MAC"));
    expect(ofField(rows, "L").readUInt16BE()).toBe(sealed.length - 53);
    expect(ofField(rows, "channel id")).toEqual(
      createHash("sha256").update(CHANNEL).digest().subarray(0, 16),
    );
  });

  test("read and written by the codec", () => {
    const result = decoded(rows);
    expect(result).toMatchObject({ dialect, key: { id: "example" } });
    const again = encodePacket(result.packet, createPacketKey(key), { dialect, iv: ofField(rows, "IV") });
    expect(Buffer.from(again).toString("hex")).toBe(joined(rows));
  });
});

test("the plaintexts say the message that the page says", () => {
  const plain = padded(
    Buffer.from(`${joined(publishPlain.slice(0, 3))}${Buffer.from(MESSAGE).toString("hex")}`, "hex"),
  );
  expect(plain.toString("hex")).toBe(joined(publishPlain));
  expect(decoded(publish).packet).toMatchObject({
    type: "PUBLISH",
    layout: 16,
    message: Buffer.from(MESSAGE),
  });
});

test("sections 12a and 12b: a node of ours answers that PUBLISH with that ACK", async () => {
  const clock = createFakeClock(decoded(publish).packet.timestamp * 1_000);
  const network = createMemoryNetwork({ clock });
  // What the page's gateway drew: 4 bytes for its session, 16 for the ACK's IV.
  const random: RandomSource = (target) =>
    void target.set(ofField(ack, target.length === 16 ? "IV" : "session id"));
  await using node = createNomqNode({
    transport: network.open(),
    keys: [key],
    channels: [CHANNEL],
    clock,
    random,
  });
  const texts: string[] = [];
  node.receive({
    async message({ payload }) {
      texts.push(Buffer.from(payload).toString());
      return { is: "accepted" };
    },
  });
  await node.start();
  const device = network.open();
  const answers: string[] = [];
  device.onDatagram((datagram) => answers.push(Buffer.from(datagram).toString("hex")));
  await device.send(Buffer.from(joined(publish), "hex"), node.local() ?? device.local);
  await clock.advance(1);
  expect(texts).toEqual([MESSAGE]);
  expect(answers).toEqual([joined(ack)]);
});

test("section 12d: the model of a device takes that plaintext and not the one of section 12a", () => {
  const from: Endpoint = { host: "10.0.0.1", port: 8_888 };
  const { packet } = decoded(publish);
  if (packet.type !== "PUBLISH") throw new Error("not a PUBLISH");
  const filled = encodePacket({ ...packet, layout: 20 }, createPacketKey(key), {
    dialect: "micropython",
    iv: ofField(publish, "IV"),
  });
  const ciphertext = Buffer.from(filled).subarray(69, -32).toString("hex");
  expect(ciphertext).toBe(encrypted(Buffer.from(joined(filledPlain), "hex"), ofField(publish, "IV")));
  const device = createV1Device({ encryption: key.encryption, mac: key.mac, channels: [CHANNEL] });
  expect(
    device.receive(Buffer.from(joined(publish), "hex"), from, packet.timestamp).delivered,
  ).toBeUndefined();
  expect(device.receive(filled, from, packet.timestamp).delivered?.text).toBe(MESSAGE);
  expect(readPage(PAGE)).toContain(`\`${(packet.timestamp - 946_684_800).toString(16)}\``);
});

describe("nomq decode", () => {
  const typed = blocksIn(PAGE, "text").flatMap(({ text }) => {
    const [, hex, output] = /^\$ nomq decode ([0-9a-f]+) --key example\.json\n(.*)$/s.exec(text) ?? [];
    return hex === undefined || output === undefined ? [] : [{ hex, output }];
  });

  test("is shown with the bytes of the tables", () => {
    expect(typed.map(({ hex }) => hex)).toEqual([joined(publish), joined(ack)]);
  });

  test.each(typed)("%# prints what the page shows", async ({ hex, output }) => {
    using folder = testFolder();
    folder.file("example.json", keyBlock?.text ?? "");
    const ended = await nomq(["decode", hex, "--key", "example.json"], { cwd: folder.path }).ended;
    expect(ended).toEqual({ code: 0, stdout: output, stderr: "" });
  });
});

test("the key of the page is refused where a gateway would use it", async () => {
  using folder = testFolder();
  folder.file("example.json", keyBlock?.text ?? "");
  const ended = await nomq(["device-config", "--key", "example.json"], { cwd: folder.path }).ended;
  expect(ended).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("everyone can read in docs/protocol.md"),
  });
});
