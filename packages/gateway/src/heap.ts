import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/**
 * Bytes of V8's young generation (both halves), which it has when a gateway has started. V8 would let it become 128 MiB
 * under load, more than all the rest of a gateway, and not give them back; less than this costs a PUT a tenth.
 */
const YOUNG_BYTES = 32 * 1024 * 1024;
/** The old generation may grow by so many percent of what was alive before it is collected: by V8 itself it may be several times that. */
const OLD_GROWTH_PERCENT = 100;

/**
 * Keeps the process's heap small under load and under attack. Node takes the size of the young generation on its command
 * line only, which a program that is started by its name does not have: V8 is told when to stop growing instead.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
  let factor = 2;
  const look = (): void => {
    const wanted = youngBytes() < YOUNG_BYTES ? 2 : 1;
    if (wanted !== factor) setFlagsFromString(`--semi-space-growth-factor=${wanted}`);
    factor = wanted;
  };
  // V8 makes it smaller when nothing happens, and then it may grow again.
  new PerformanceObserver(look).observe({ entryTypes: ["gc"] });
}

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? YOUNG_BYTES;
