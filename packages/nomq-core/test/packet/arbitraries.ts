import fc from "fast-check";
import { channelId, type Dialect, type Packet } from "../../src/index.ts";

/** Runs of a property: a small sample by default, many with NOMQ_LONG set. */
export const runs = (long: number, short = 100): { numRuns: number } => ({
  numRuns: process.env["NOMQ_LONG"] === undefined ? short : long,
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyBytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const iv = fc.uint8Array({ minLength: 16, maxLength: 16 });
const name = fc.string({ unit: "binary", maxLength: 60 }).filter((it) => it.isWellFormed());

const header = fc.record({
  flags: fc.integer({ min: 0, max: 255 }),
  packetId: u32,
  sessionId: u32,
  ttl: fc.integer({ min: 0, max: 65_535 }),
  timestamp: u32,
  channelId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
});

/** Any packet that can be written; SUBSCRIBE and UNSUBSCRIBE carry their channel's own id. */
export const anyPacket: fc.Arbitrary<Packet> = fc
  .tuple(
    header,
    fc.oneof(
      fc.record({
        type: fc.constant("PUBLISH" as const),
        nonce: u32,
        innerTimestamp: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        message: fc.oneof({ weight: 9, arbitrary: anyBytes(80) }, { weight: 1, arbitrary: anyBytes(3_000) }),
        layout: fc.constantFrom(16 as const, 20 as const),
      }),
      fc.record({ type: fc.constantFrom("SUBSCRIBE" as const, "UNSUBSCRIBE" as const), channel: name }),
      fc.record({
        type: fc.constantFrom("ACK" as const, "PUBREC" as const, "PUBREL" as const, "PUBCOMP" as const),
        acknowledged: u32,
      }),
      fc.record({ type: fc.constant("HEARTBEAT" as const) }),
    ),
  )
  .map(([common, body]) =>
    "channel" in body ? { ...common, ...body, channelId: channelId(body.channel) } : { ...common, ...body },
  );

export const anyDialect: fc.Arbitrary<Dialect> = fc.constantFrom("micropython" as const, "standard" as const);
export const anyIv: fc.Arbitrary<Uint8Array> = iv;
