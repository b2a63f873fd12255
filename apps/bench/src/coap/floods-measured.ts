import { floods, pour } from "./floods.ts";
import { startGateway } from "./subjects.ts";

/** MiB that a server may hold more during a flood. */
export const MOST_GROWN_MIB = 60;

/** Each flood in full against a gateway of its own; resolves with whether it stayed alive and within its bound. */
export async function measureFloods(): Promise<boolean> {
  let isWell = true;
  for (const flood of floods) {
    await using gateway = await startGateway();
    const { answerMs, grownMiB } = await pour(gateway, flood, flood.full);
    const isMet = grownMiB <= MOST_GROWN_MIB;
    isWell &&= isMet;
    console.log(
      `${flood.full} ${flood.name}: others answered after ${answerMs.median.toFixed(1)} ms, ` +
        `${answerMs.most.toFixed(0)} ms at most; +${grownMiB.toFixed(0)} MiB ` +
        `(target ≤ ${MOST_GROWN_MIB} MiB: ${isMet ? "ok" : "MISSED"})`,
    );
  }
  return isWell;
}
