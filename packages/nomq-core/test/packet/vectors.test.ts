import { describe, expect, test } from "vitest";
import {
  channelId,
  createPacketKey,
  decodeDeviceConfig,
  decodePacket,
  encodeDeviceConfig,
  encodePacket,
  genSignature,
  type Packet,
  typeName,
  verifySignature,
} from "../../src/index.ts";
import {
  bytes,
  hex,
  type SendVector,
  type StandardVector,
  vectorKey,
  vectorRing,
  vectors,
} from "../vectors.ts";

const key = createPacketKey(vectorKey());
const number = (digits: string): number => Number.parseInt(digits, 16);

/** The packet as the vectors' plain fields say, independent of our decoder. */
function build(
  header: { flags: string; packetId: string; sessionId: string; ttl: number; time: number; channel: string },
  type: Packet["type"] | undefined,
  plaintext: Buffer,
): Packet {
  const common = {
    flags: number(header.flags),
    packetId: number(header.packetId),
    sessionId: number(header.sessionId),
    ttl: header.ttl,
    timestamp: header.time,
    channelId: bytes(header.channel),
  };
  switch (type) {
    case "PUBLISH":
      return {
        type,
        ...common,
        nonce: plaintext.readUInt32BE(8),
        innerTimestamp: plaintext.readBigUInt64BE(0),
        message: new Uint8Array(plaintext.subarray(16)),
        layout: 16,
      };
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      return { type, ...common, channel: plaintext.toString("utf8") };
    case "HEARTBEAT":
      return { type, ...common };
    case "ACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      return { type, ...common, acknowledged: plaintext.readUInt32BE(0) };
    case undefined:
      throw new Error("vector of unknown type");
  }
}

function fromSend({ fields }: SendVector): Packet {
  const header = {
    flags: fields.flags,
    packetId: fields.packet_id,
    sessionId: fields.session_id,
    ttl: fields.ttl,
    time: fields.timestamp,
    channel: fields.channel_id,
  };
  return build(header, asType(fields.type_name), Buffer.from(fields.plaintext, "hex"));
}

function asType(name: string): Packet["type"] | undefined {
  for (let type = 1; type <= 8; type += 1) if (typeName(type) === name) return typeName(type);
  return undefined;
}

function fromStandard({ inputs }: StandardVector): Packet {
  const header = {
    flags: inputs.flags,
    packetId: inputs.packet_id,
    sessionId: inputs.session_id,
    ttl: 3600,
    time: inputs.time,
    channel: inputs.channel === null ? "00".repeat(16) : hex(channelId(inputs.channel)),
  };
  return build(header, typeName(inputs.type), Buffer.from(inputs.plaintext, "hex"));
}

const lines = [
  ...vectors.send.map((vector) => ({
    name: vector.name,
    datagram: bytes(vector.hex),
    packet: fromSend(vector),
    iv: bytes(vector.fields.header_iv),
    dialect: "micropython" as const,
  })),
  ...vectors.standard.map((vector) => ({
    name: `standard ${vector.name}`,
    datagram: bytes(vector.hex),
    packet: fromStandard(vector),
    iv: bytes(vector.inputs.iv),
    dialect: "standard" as const,
  })),
];

const plain = (packet: Packet): unknown =>
  Object.fromEntries(
    Object.entries(packet).map(([name, it]) => [name, it instanceof Uint8Array ? hex(it) : it]),
  );

test("the vectors are all there", () => {
  expect([vectors.send.length, vectors.standard.length, vectors.receive.length]).toEqual([33, 8, 36]);
});

describe.each(lines)("$name", ({ datagram, packet, iv, dialect }) => {
  test.each([dialect, "auto"] as const)("decodes with a key of dialect %s", (accepted) => {
    const result = decodePacket(datagram, vectorRing(accepted));
    expect(
      result.ok && { ...result, packet: plain(result.packet), mac: hex(result.mac), key: result.key.id },
    ).toEqual({
      ok: true,
      packet: plain(packet),
      key: "site",
      dialect,
      mac: hex(datagram.subarray(-32)),
    });
  });

  test("encodes", () => {
    expect(hex(encodePacket(packet, key, { dialect, iv }))).toBe(hex(datagram));
  });

  test("round-trips", () => {
    const result = decodePacket(datagram, vectorRing());
    expect(result.ok && hex(encodePacket(result.packet, key, { dialect, iv }))).toBe(hex(datagram));
  });

  test("is refused by a key of the other dialect", () => {
    const other = dialect === "standard" ? "micropython" : "standard";
    expect(decodePacket(datagram, vectorRing(other))).toMatchObject({ ok: false, reason: "bad-mac" });
  });
});

describe.each(vectors.config.vectors)("configuration file: $name", ({ plaintext, file, iv }) => {
  const json = new Map<string, unknown>(Object.entries(JSON.parse(plaintext)));
  const config = Object.fromEntries(
    Object.entries({
      ip: json.get("ip"),
      port: json.get("port"),
      useIpv6: json.get("use_ipv6"),
      encryptionKey: json.get("encryption_key"),
      hmacKey: json.get("hmac_key"),
    }).filter(([, value]) => value !== undefined),
  );

  test("decodes", () => {
    expect(decodeDeviceConfig(file)).toEqual({ ok: true, config });
  });

  test("encodes", () => {
    expect(encodeDeviceConfig(config, bytes(iv))).toBe(file);
  });

  test("round-trips, wrapped lines and all", () => {
    const result = decodeDeviceConfig(file.replace(/(.{40})/g, "$1\r\n"));
    expect(result.ok && encodeDeviceConfig(result.config, bytes(iv))).toBe(file);
  });
});

test.each(vectors.gen_signature)("gen_signature and authenticate of $message", ({ message, signature }) => {
  const macKey = bytes(vectors.keys.hmac_key);
  expect(genSignature(message, macKey)).toBe(signature);
  expect(verifySignature(signature, message, macKey)).toBe(true);
  expect(verifySignature(bytes(signature), Buffer.from(message), macKey)).toBe(true);
  const other = bytes(signature);
  other[0] = (other[0] ?? 0) ^ 1;
  for (const wrong of [other, other.subarray(0, 31), new Uint8Array(0), "", "no hex", signature.slice(2)]) {
    expect(verifySignature(wrong, message, macKey)).toBe(false);
  }
  expect(verifySignature(signature, `${message}.`, macKey)).toBe(false);
});

test.each(vectors.channel_ids)("channel id of $channel", ({ channel, id }) => {
  expect(hex(channelId(channel))).toBe(id);
});
