import type { Carried } from "./sample.ts";

/** Nothing of the walk is older than this file in its process; seconds are rounded twice. */
const since = performance.now();
const mostSeconds = (): number => (performance.now() - since) / 1_000 + 2;

/** What differs between what came and what the tables say; times to live only grow less. */
export function differences(came: Carried, wanted: Carried): readonly string[] {
  const names = new Set([...Object.keys(came), ...Object.keys(wanted)]) as Set<keyof Carried>;
  return [...names].flatMap((name) => {
    const [is, should] = [came[name], wanted[name]];
    const isLeft =
      name === "ttl" && typeof is === "number" && typeof should === "number" && should > 0
        ? is <= should && is >= should - mostSeconds()
        : show(is) === show(should);
    return isLeft ? [] : [`${name} is ${show(is)}, the tables say ${show(should)}`];
  });
}

const show = (value: unknown): string =>
  Buffer.isBuffer(value)
    ? `${value.length} bytes ${value.toString("hex", 0, 16)}`
    : (JSON.stringify(value) ?? "-");
