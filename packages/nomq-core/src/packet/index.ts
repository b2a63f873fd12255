export * from "./channel-id.ts";
export {
  type Decoded,
  type DecodeLimits,
  type DecodeResult,
  decodePacket,
  type Undecoded,
} from "./decode.ts";
export * from "./device-config.ts";
export * from "./encode.ts";
export * from "./flags.ts";
export * from "./key-ring.ts";
export { LARGEST_DATAGRAM } from "./layout.ts";
export { MAC_BYTES } from "./mac.ts";
export * from "./packet.ts";
export { type PeekedHeader, peekHeader } from "./peek.ts";
export { createPooledRandom, pooledRandom, type RandomSource, randomU32 } from "./random.ts";
export * from "./signature.ts";
