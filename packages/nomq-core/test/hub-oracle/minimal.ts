import { play } from "./run.ts";
import type { Step } from "./steps.ts";
import type { Ground } from "./world.ts";

/** What a run breaks; undefined when it keeps all rules. */
export async function faultOf(
  steps: readonly Step[],
  make?: () => Promise<Ground>,
): Promise<string | undefined> {
  try {
    await play(steps, make);
    return undefined;
  } catch (fault) {
    return fault instanceof Error ? fault.message : String(fault);
  }
}

/** The rule, without whom, what and when it struck. */
const kindOf = (fault: string): string =>
  (fault.split("\n")[0] ?? "")
    .replace(/^(step \d+ \(\w+\)|at rest|after the last restart): /, "")
    .replace(/\([^)]*\)|"[^"]*"|toy:\w+|[0-9a-f]{8,}|[0-9]+|\/\S*/g, "")
    .slice(0, 30);

/**
 * Leaves out steps, large parts first, as long as a rule of the same kind stays broken. Steps mean something in
 * every state, so what is left is a run of its own.
 */
export async function minimise(steps: readonly Step[]): Promise<{ steps: readonly Step[]; fault: string }> {
  let least = steps;
  let fault = (await faultOf(steps)) ?? "";
  const kind = kindOf(fault);
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < least.length; ) {
      const fewer = [...least.slice(0, at), ...least.slice(at + size)];
      const found = await faultOf(fewer);
      if (found !== undefined && kindOf(found) === kind) {
        least = fewer;
        fault = found;
      } else at += size;
    }
  }
  return { steps: least, fault };
}
