import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that mostly wait for a real clock (retransmissions, silence, expiry), longest first. Begun first they cost no time
 * of their own; begun last, a run would wait for them alone.
 */
const WAITING: readonly string[] = [
  "test/trust/loss.test.ts",
  "test/mosquitto-to-device.test.ts",
  "test/coap/sensors.test.ts",
  "test/coap/observe.test.ts",
  "test/still-peers.test.ts",
  "packages/gateway/test/receipts.test.ts",
  "test/trust/kill.test.ts",
  "packages/nomq-core/test/proof/fuzz-socket.test.ts",
  "test/expiry.test.ts",
  "test/ack-codes.test.ts",
  "test/coap/core.test.ts",
  "test/trust/replay.test.ts",
  "test/interest-first.test.ts",
  "test/trust/hang.test.ts",
  "test/trust/disk-full.test.ts",
  "packages/gateway/test/store/kill.test.ts",
];

const placeOf = ({ moduleId }: TestSpecification): number => {
  const at = WAITING.findIndex((file) => moduleId.endsWith(`/${file}`));
  return at < 0 ? WAITING.length : at;
};

/** Begins with the files that wait; the others keep Vitest's order. */
export default class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}
