import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from "node:crypto";
import {
  channelId,
  createKeyRing,
  createPacketKey,
  type Dialect,
  decodePacket,
  encodePacket,
  type Key,
  type Packet,
} from "@nomq/core";
import { type Case, type Comparison, compare, describe } from "./ratio.ts";

// As many different datagrams as the branch predictor and caches cannot learn by heart.
const DATAGRAMS = 256;
const HEADER = 53;
const MAC = 32;
const TARGET = 2;

const key: Key = { id: "bench", encryption: randomBytes(32), mac: randomBytes(32), dialect: "auto" };
const prepared = createPacketKey(key);
const ring = createKeyRing([key]);

function packetOf(messageBytes: number): Packet {
  return {
    type: "PUBLISH",
    flags: 1,
    packetId: 0x1234_5678,
    sessionId: 0x9abc_def0,
    ttl: 3_600,
    timestamp: 1_760_000_000,
    channelId: channelId("factory/line1/temperature"),
    nonce: 0x0bad_cafe,
    innerTimestamp: 1_760_000_000n,
    message: randomBytes(messageBytes),
    layout: 16,
  };
}

interface Input {
  readonly dialect: Dialect;
  readonly packets: readonly Packet[];
  readonly datagrams: readonly Uint8Array[];
}

function inputOf(dialect: Dialect, messageBytes: number): Input {
  const packets = Array.from({ length: DATAGRAMS }, () => packetOf(messageBytes));
  return {
    dialect,
    packets,
    datagrams: packets.map((packet) => encodePacket(packet, prepared, { dialect })),
  };
}

function at<T>(list: readonly T[], turn: number): T {
  const value = list[turn % list.length];
  if (value === undefined) throw new Error("nothing to measure");
  return value;
}

function decoding({ datagrams, dialect }: Input, what: string): Case {
  return {
    name: `decode ${what}`,
    run: (turn) => {
      const result = decodePacket(at(datagrams, turn), ring);
      if (!result.ok || result.dialect !== dialect)
        throw new Error("a datagram of the benchmark was refused");
    },
  };
}

function encoding({ packets, dialect }: Input, what: string): Case {
  return {
    name: `encode ${what}`,
    run: (turn) => void encodePacket(at(packets, turn), prepared, { dialect }),
  };
}

/** What no implementation can go without: hashing and one pass of AES over the same bytes, objects standing. */
function barePrimitives(input: Input, direction: "decode" | "encode"): Case {
  const { dialect } = input;
  const before = HEADER + (dialect === "micropython" ? 16 : 0);
  const hashed = input.datagrams.map((datagram) =>
    // HMAC's inner pad has 64 bytes; the suffix MAC ends with the key's 32.
    Buffer.concat([datagram.subarray(0, -MAC), Buffer.alloc(dialect === "standard" ? 64 : 32)]),
  );
  const sealed = input.datagrams.map((datagram) => datagram.subarray(before, -MAC));
  const make = direction === "decode" ? createDecipheriv : createCipheriv;
  const cipher = make("aes-256-cbc", key.encryption, Buffer.alloc(16)).setAutoPadding(false);
  const outer = Buffer.alloc(96);
  return {
    name: `one-shot hash${dialect === "standard" ? " twice" : ""} + standing AES-CBC`,
    run: (turn) => {
      hash("sha256", at(hashed, turn), "buffer");
      if (dialect === "standard") hash("sha256", outer, "buffer");
      cipher.update(at(sealed, turn));
    },
  };
}

/** The calls a programmer would write first: objects made for each packet. */
function plainCalls(input: Input, direction: "decode" | "encode"): Case {
  const before = HEADER + (input.dialect === "micropython" ? 16 : 0);
  return {
    name: "createHmac + createCipheriv each time",
    run: (turn) => {
      const datagram = at(input.datagrams, turn);
      createHmac("sha256", key.mac).update(datagram.subarray(0, -MAC)).digest();
      const make = direction === "decode" ? createDecipheriv : createCipheriv;
      const cipher = make("aes-256-cbc", key.encryption, datagram.subarray(15, 31)).setAutoPadding(false);
      cipher.update(datagram.subarray(before, -MAC));
      cipher.final();
    },
  };
}

function junk(): Case {
  const noise = Array.from({ length: DATAGRAMS }, () => randomBytes(133));
  return {
    name: "decode junk of 133 bytes",
    run: (turn) => {
      if (decodePacket(at(noise, turn), ring).ok) throw new Error("junk was accepted");
    },
  };
}

/**
 * Whole packets (structure, MAC, AES, plaintext), read and written, against the bare primitives on the same bytes.
 * Returns whether they take at most twice as long.
 */
export function benchPacket(): boolean {
  const comparisons: Comparison[] = [];
  for (const dialect of ["micropython", "standard"] as const) {
    for (const bytes of [15, 1_024]) {
      const input = inputOf(dialect, bytes);
      const what = `${dialect}, ${bytes}-byte message`;
      const decode = decoding(input, what);
      const encode = encoding(input, what);
      comparisons.push({ subject: decode, reference: barePrimitives(input, "decode"), target: TARGET });
      comparisons.push({ subject: encode, reference: barePrimitives(input, "encode"), target: TARGET });
      if (dialect !== "standard" || bytes !== 15) continue;
      comparisons.push({ subject: decode, reference: plainCalls(input, "decode"), target: 1 });
      comparisons.push({ subject: encode, reference: plainCalls(input, "encode"), target: 1 });
    }
  }
  const small = inputOf("micropython", 15);
  comparisons.push({ subject: junk(), reference: barePrimitives(small, "decode"), target: 0.5 });
  let met = true;
  for (const comparison of comparisons) {
    const result = compare(comparison);
    met &&= result.ratio <= comparison.target;
    console.log(describe(comparison, result));
  }
  return met;
}
