import { readFileSync } from "node:fs";
import { EPOCH_2000, type GroupKey, type Outgoing, randomId, unixSeconds } from "./seal.ts";

/** A PUBLISH that an original device made: what it was asked to send, and the flags it put on the wire. */
export interface PublishInput {
  readonly name: string;
  readonly channel: string;
  readonly message: string;
  readonly flags: number;
  readonly ttl: number;
  /** The device's clock when it sent. */
  readonly time: number;
}

interface Vectors {
  readonly keys: { readonly encryption_key: string; readonly hmac_key: string };
  readonly time: number;
  readonly send: readonly {
    readonly name: string;
    readonly inputs: {
      readonly call: string;
      readonly channel: string;
      readonly message: string;
      readonly ttl: number;
      readonly time: number;
    };
    readonly fields: { readonly flags: string };
  }[];
}

// Our own fixture; its shape is checked by the codec's tests.
const vectors = JSON.parse(
  readFileSync(new URL("../../packages/nomq-core/test/fixtures/nomq-v1.json", import.meta.url), "utf8"),
) as Vectors;

/** The group key of the vectors; public, so good for tests only. */
export const vectorKey: GroupKey = {
  encryption: Buffer.from(vectors.keys.encryption_key, "hex"),
  mac: Buffer.from(vectors.keys.hmac_key, "hex"),
};

/** Every PUBLISH of the `send` list. */
export const publishInputs: readonly PublishInput[] = vectors.send
  .filter(({ inputs }) => inputs.call === "publish")
  .map(({ name, inputs, fields }) => ({
    name,
    channel: inputs.channel,
    message: inputs.message,
    flags: Number.parseInt(fields.flags, 16),
    ttl: inputs.ttl,
    time: inputs.time,
  }));

export type DeviceClock = "epoch-1970" | "epoch-2000" | "unset";

/** Which clock the input's device had. */
export function clockOf(input: PublishInput): DeviceClock {
  if (input.time === vectors.time) return "epoch-1970";
  return input.time === vectors.time - EPOCH_2000 ? "epoch-2000" : "unset";
}

/** Makes packets of the inputs as if their devices sent them now: a session for each clock, fresh ids and nonces. */
export function createResender(): (input: PublishInput) => Outgoing {
  const sessions: Record<DeviceClock, number> = {
    "epoch-1970": randomId(),
    "epoch-2000": randomId(),
    unset: randomId(),
  };
  const now: Record<DeviceClock, (input: PublishInput) => number> = {
    "epoch-1970": () => unixSeconds(),
    "epoch-2000": () => unixSeconds() - EPOCH_2000,
    unset: (input) => input.time,
  };
  return (input) => ({
    channel: input.channel,
    message: input.message,
    flags: input.flags,
    ttl: input.ttl,
    sessionId: sessions[clockOf(input)],
    timestamp: now[clockOf(input)](input),
  });
}
