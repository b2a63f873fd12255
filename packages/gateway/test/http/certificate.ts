import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A certificate with its key, both PEM. */
export interface Certificate {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

/**
 * Makes an X.509 v3 certificate (RFC 5280, section 4.1) for 127.0.0.1 on P-256, signed by another one or by itself.
 * It holds for a day around now.
 */
export function makeCertificate(name: string, signer?: Certificate): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const tbs = sequence(
    tagged(0xa0, integer(2)),
    integer(Math.floor(Math.random() * 2 ** 30) + 1),
    ECDSA_SHA256,
    nameOf(signer?.name ?? name),
    sequence(time(-DAY_MS), time(DAY_MS)),
    nameOf(name),
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions(signer === undefined))),
  );
  const signature = sign("sha256", tbs, signer?.privateKey ?? privateKey);
  const der = sequence(tbs, ECDSA_SHA256, tagged(0x03, Buffer.of(0), signature));
  const lines = der.toString("base64").replace(/.{64}/g, "$&\n");
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    privateKey,
  };
}

const DAY_MS = 24 * 60 * 60 * 1_000;

function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(0x30, ...parts);
const oid = (...bytes: readonly number[]): Buffer => tagged(0x06, Buffer.of(...bytes));

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  const first = Math.min(
    bytes.findIndex((byte) => byte !== 0) === -1 ? 4 : bytes.findIndex((byte) => byte !== 0),
    4,
  );
  // A leading bit would make it negative.
  return tagged(0x02, bytes.subarray((bytes[first] ?? 0) > 127 ? first - 1 : first));
}

function time(fromNow: number): Buffer {
  const text = new Date(Date.now() + fromNow).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${text}Z`));
}

const nameOf = (name: string): Buffer =>
  sequence(tagged(0x31, sequence(oid(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from(name)))));

/** Basic constraints, and the address it is for. */
function extensions(isAuthority: boolean): readonly Buffer[] {
  const constraints = sequence(...(isAuthority ? [tagged(0x01, Buffer.of(0xff))] : []));
  const address = sequence(tagged(0x87, Buffer.of(127, 0, 0, 1)));
  return [
    sequence(oid(0x55, 0x1d, 0x13), tagged(0x01, Buffer.of(0xff)), tagged(0x04, constraints)),
    sequence(oid(0x55, 0x1d, 0x11), tagged(0x04, address)),
  ];
}

/** ecdsa-with-SHA256 (RFC 5758, section 3.2). */
const ECDSA_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
