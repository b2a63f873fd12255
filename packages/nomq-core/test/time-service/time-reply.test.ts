import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { timeReply } from "../../src/index.ts";

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 250);
const SECONDS_1900_TO_1970 = (70 * 365 + 17) * 86_400;

/** What a client sends (RFC 4330, section 5): the first byte, its transmit timestamp, and nothing else. */
function request({ leap = 0, version = 4, mode = 3, poll = 0, length = 48 } = {}): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[0] = (leap << 6) | (version << 3) | mode;
  bytes[2] = poll;
  bytes.set([0xee, 0xab, 0xcd, 1, 0xde, 0xad, 0xbe, 0xef].slice(0, Math.max(0, length - 40)), 40);
  return bytes;
}

interface Reply {
  readonly leap: number;
  readonly version: number;
  readonly mode: number;
  readonly stratum: number;
  readonly poll: number;
  readonly precision: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly referenceId: string;
  readonly reference: bigint;
  readonly originate: string;
  readonly receive: bigint;
  readonly transmit: bigint;
}

function parse(reply: Uint8Array | undefined): Reply {
  if (reply?.length !== 48) throw new Error(`${reply?.length} bytes`);
  const view = new DataView(reply.buffer, reply.byteOffset, 48);
  const first = view.getUint8(0);
  return {
    leap: first >> 6,
    version: (first >> 3) & 7,
    mode: first & 7,
    stratum: view.getUint8(1),
    poll: view.getInt8(2),
    precision: view.getInt8(3),
    rootDelay: view.getUint32(4) / 65_536,
    rootDispersion: view.getUint32(8) / 65_536,
    referenceId: Buffer.from(reply.subarray(12, 16)).toString("hex"),
    reference: view.getBigUint64(16),
    originate: Buffer.from(reply.subarray(24, 32)).toString("hex"),
    receive: view.getBigUint64(32),
    transmit: view.getBigUint64(40),
  };
}

/** As a client does it that knows the time to within 68 years (RFC 4330, section 3). */
function unixMs(timestamp: bigint, near: number): number {
  const inEra = Number(timestamp >> 32n) - SECONDS_1900_TO_1970 + Number(timestamp & 0xffff_ffffn) / 2 ** 32;
  const eras = Math.round((near / 1000 - inEra) / 2 ** 32);
  return (inEra + eras * 2 ** 32) * 1000;
}

describe("the answer to a client (RFC 4330, section 6; RFC 5905, section 7.3)", () => {
  test("has the server's mode, the request's version and poll, and the time", () => {
    const reply = parse(timeReply(request({ poll: 6 }), NOW));
    expect(reply).toMatchObject({ leap: 0, version: 4, mode: 4, stratum: 10, poll: 6, precision: -10 });
    expect(unixMs(reply.transmit, NOW)).toBeCloseTo(NOW, 3);
    expect(reply.receive).toBe(reply.transmit);
    expect(reply.reference <= reply.receive).toBe(true);
    expect(NOW - unixMs(reply.reference, NOW)).toBeLessThan(1000);
  });

  test("gives the request's transmit timestamp back as originate timestamp, bit by bit", () => {
    expect(parse(timeReply(request(), NOW)).originate).toBe("eeabcd01deadbeef");
  });

  test("claims no better clock than it knows of, within what NTP clients take", () => {
    const { rootDelay, rootDispersion, referenceId } = parse(timeReply(request(), NOW));
    expect({ rootDelay, rootDispersion, referenceId }).toEqual({
      rootDelay: 0,
      rootDispersion: 1,
      referenceId: "7f7f0100",
    });
  });

  test.each([1, 2, 3, 4])("version %i is answered in its own version", (version) => {
    expect(parse(timeReply(request({ version }), NOW)).version).toBe(version);
  });

  test("says that it has no time while the machine's clock was never set", () => {
    const reply = parse(timeReply(request(), Date.UTC(1970, 0, 1, 0, 5)));
    const kiss = Buffer.from(reply.referenceId, "hex").toString();
    expect({ ...reply, kiss }).toMatchObject({ leap: 3, stratum: 0, mode: 4, kiss: "INIT", reference: 0n });
    expect(parse(timeReply(request(), Date.UTC(2023, 11, 31))).leap).toBe(3);
    expect(parse(timeReply(request(), Date.UTC(2024, 0, 1))).leap).toBe(0);
  });

  test("the time a client computes is right in 2036 and after, whatever its own error (RFC 5905, section 6)", () => {
    // 7 February 2036, 06:28:16 UTC: the seconds begin again.
    const rollover = (2 ** 32 - SECONDS_1900_TO_1970) * 1000;
    expect(new Date(rollover).toISOString()).toBe("2036-02-07T06:28:16.000Z");
    expect(parse(timeReply(request(), rollover - 1000)).transmit).toBe(0xffff_ffffn << 32n);
    expect(parse(timeReply(request(), rollover)).transmit).toBe(0n);
    expect(parse(timeReply(request(), rollover + 1500)).transmit).toBe((1n << 32n) | 0x8000_0000n);
    const around = fc.oneof(
      fc.integer({ min: NOW, max: NOW + 400 * 365 * 86_400_000 }),
      fc.integer({ min: -5000, max: 5000 }).map((off) => rollover + off),
      fc.integer({ min: -5000, max: 5000 }).map((off) => rollover + 2 ** 32 * 1000 + off),
    );
    const error = fc.integer({ min: -60 * 365 * 86_400, max: 60 * 365 * 86_400 });
    fc.assert(
      fc.property(around, error, (now, off) => {
        const { transmit, reference } = parse(timeReply(request(), now));
        expect(Math.abs(unixMs(transmit, now + off * 1000) - now)).toBeLessThan(0.01);
        expect(unixMs(reference, now)).toBe(Math.floor(now / 1000) * 1000);
      }),
    );
  });
});

describe("what is not answered", () => {
  test.each([0, 1, 2, 4, 5, 6, 7])("mode %i: no client's request", (mode) => {
    expect(timeReply(request({ mode }), NOW)).toBeUndefined();
  });

  test.each([0, 5, 6, 7])("version %i", (version) => {
    expect(timeReply(request({ version }), NOW)).toBeUndefined();
  });

  test("anything shorter than 48 bytes", () => {
    for (let length = 0; length < 48; length += 1) {
      const bytes = new Uint8Array(length).fill(0x23);
      expect(timeReply(bytes, NOW)).toBeUndefined();
    }
  });

  test("any bytes: 48 or nothing, never more than came, and no answer is answered", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(2 ** 42), (bytes, now) => {
        const reply = timeReply(bytes, now);
        if (reply === undefined) return;
        expect(reply).toHaveLength(48);
        expect(bytes.length).toBeGreaterThanOrEqual(48);
        expect((bytes[0] ?? 0) & 7).toBe(3);
        expect(timeReply(reply, now)).toBeUndefined();
      }),
      { numRuns: process.env["NOMQ_LONG"] === undefined ? 2000 : 200_000 },
    );
  });

  test("extensions and a MAC behind the packet are passed over", () => {
    expect(timeReply(request({ length: 1200 }), NOW)).toEqual(timeReply(request(), NOW));
  });
});
